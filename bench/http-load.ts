/** The load generator: `node http-load.js <port> <workload> <seconds>`. Tells its parent what it has measured. */
import http from 'node:http'
import autocannon from 'autocannon'
import { io, type Socket } from 'socket.io-client'
import { BODY, CONNECTIONS, type Load, OFFERED, POLLING_CLIENTS, WARM_UP, type Workload } from './http-workloads.js'
import { latencyOf } from './measurement.js'
import { askAt } from './offered.js'

const [port, workload, seconds] = process.argv.slice(2) as [string, Workload, string]
const url = `http://127.0.0.1:${port}`
const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS, scheduling: 'fifo' })
const put = workload === 'offered' ? offer : saturate

/** At a fixed rate. */
async function offer(duration: number): Promise<Load> {
  const start = performance.now()
  const latencies = await askAt(`${url}/`, agent, OFFERED, duration)
  return { elapsed: performance.now() - start, answered: latencies.length, latency: latencyOf(latencies) }
}

/** What autocannon is answered within so many seconds. */
async function saturate(duration: number): Promise<Load> {
  // Its own histogram counts whole milliseconds, and its own latencies are too long where connections are closed: it asks
  // once more before it knows, and takes the next answer for that of this one.
  const latencies: number[] = []
  const result = await autocannon({
    url: `${url}/`,
    connections: CONNECTIONS,
    // Not so many requests: autocannon notices their end a second late.
    duration,
    ...(workload === 'post' && { method: 'POST', body: 'x'.repeat(BODY) }),
    ...(workload === 'close' && { headers: { connection: 'close' } }),
    setupClient(client) {
      let asked = 0
      // A connection that must be opened first is part of it: this comes before.
      client.on('request', () => {
        asked = performance.now()
      })
      client.on('response', (status) => {
        if (status >= 200 && status < 300) latencies.push(performance.now() - asked)
      })
    },
  })
  return {
    elapsed: result.duration * 1000,
    answered: result['2xx'],
    latency: latencyOf(Float64Array.from(latencies)),
  }
}

let echoes = 0
const sockets: Socket[] = []
if (workload === 'polling') {
  for (let n = 0; n < POLLING_CLIENTS; n++) sockets.push(io(url, { transports: ['polling'], forceNew: true }))
  await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.once('connect', () => resolve()))))
  for (const socket of sockets) void talk(socket)
}

/** Asks, and asks again when it has the answer. */
async function talk(socket: Socket): Promise<void> {
  for (;;) {
    await new Promise<void>((resolve) => socket.emit('echo', resolve))
    echoes++
  }
}

await put(WARM_UP)
echoes = 0
process.send?.('start')
const load = await put(Number(seconds))
if (workload === 'polling') load.more = { 'round trips of polling clients': (echoes * 1000) / load.elapsed }
process.send?.(load, () => process.exit(0))
