/** New connections at a fixed rate, each for one request: `{ ports, rate, seconds }` is told, the result is told back. */
import net from 'node:net'
import { latencyOf } from '../measurement.js'
import { pumpAt } from '../workloads.js'

export interface StormResult {
  /** Connections that were answered. */
  connected: number
  /** Milliseconds from when a connection was due to the end of its answer. */
  p99: number
}

/** So long an answer may take. */
const TIMEOUT = 10_000

function visit(port: number, due: number): Promise<number> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1' })
    socket.setTimeout(TIMEOUT, () => socket.destroy())
    socket.on('error', () => {})
    socket.once('close', () => resolve(Number.NaN))
    socket.once('data', () => {
      resolve(performance.now() - due)
      socket.resetAndDestroy()
    })
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  })
}

process.on('message', async ({ ports, rate, seconds }: { ports: number[]; rate: number; seconds: number }) => {
  const visits: Promise<number>[] = []
  if (ports.length > 0 && rate > 0) {
    await pumpAt(rate, rate * seconds, 'sleep', (i, due) => visits.push(visit(ports[i % ports.length] as number, due)))
  }
  const answered = (await Promise.all(visits)).filter((latency) => !Number.isNaN(latency))
  const { p99 } = latencyOf(Float64Array.from(answered))
  process.send?.({ connected: answered.length, p99: answered.length > 0 ? p99 / 1000 : 0 } satisfies StormResult)
})
