/**
 * `node delegation-load.js <port> <how> <seconds>`: asks for ten reports a second, and for pings. `offered`: at a fixed
 * rate, each timed from when it was due. `autocannon`: as autocannon does at its fixed rate, which are bursts.
 */
import http from 'node:http'
import autocannon from 'autocannon'
import type { Load } from './http-workloads.js'
import { latencyOf } from './measurement.js'
import { askAt } from './offered.js'

/** In a second. */
const REPORTS = 10
const PINGS = 500
const CONNECTIONS = 50

const [port, how, seconds] = process.argv.slice(2) as [string, 'offered' | 'autocannon', string]
const url = `http://127.0.0.1:${port}`

const agents = {
  report: new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS }),
  ping: new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS, scheduling: 'fifo' }),
}

async function pingOffered(duration: number): Promise<Load> {
  const start = performance.now()
  const latencies = await askAt(`${url}/ping`, agents.ping, PINGS, duration)
  return { elapsed: performance.now() - start, answered: latencies.length, latency: latencyOf(latencies) }
}

async function pingByAutocannon(duration: number): Promise<Load> {
  const result = await autocannon({ url: `${url}/ping`, connections: CONNECTIONS, overallRate: PINGS, duration })
  const { p50, p99 } = result.latency
  return {
    elapsed: result.duration * 1000,
    answered: result['2xx'],
    latency: { p50: p50 * 1000, p99: p99 * 1000 },
  }
}

async function put(duration: number): Promise<Load> {
  const ping = how === 'offered' ? pingOffered : pingByAutocannon
  const [load, reports] = await Promise.all([ping(duration), askAt(`${url}/report`, agents.report, REPORTS, duration)])
  load.more = { 'report p50': latencyOf(reports).p50 / 1000 }
  return load
}

await put(1)
process.send?.('start')
process.send?.(await put(Number(seconds)), () => process.exit(0))
