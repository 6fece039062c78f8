/**
 * `node delegation-load.js <port> <how> <seconds>`: asks for ten reports a second, and for pings. `offered`: at a fixed
 * rate, each timed from when it was due. `autocannon`: as autocannon does at its fixed rate.
 */
import http from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import autocannon from 'autocannon'
import type { Load } from './http-workloads.js'
import { latencyOf } from './measurement.js'
import { askAt } from './offered.js'

/** In a second. */
const REPORTS = 10
const PINGS = 500
const CONNECTIONS = 50
/** autocannon sends what is due in a second at its beginning: several of them, one after the other, come to a flow. */
const CANNONS = 10

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
  const connections = CONNECTIONS / CANNONS
  const options = { url: `${url}/ping`, connections, overallRate: PINGS / CANNONS, duration, skipAggregateResult: true }
  const results = await Promise.all(
    Array.from({ length: CANNONS }, async (_, n) => {
      await sleep((1000 / CANNONS) * n)
      return autocannon(options)
    }),
  )
  const { duration: elapsed, latency, ...answered } = autocannon.aggregateResult(results, options)
  return {
    elapsed: elapsed * 1000,
    answered: answered['2xx'],
    latency: { p50: latency.p50 * 1000, p99: latency.p99 * 1000 },
  }
}

async function put(duration: number): Promise<Load> {
  // The last of the cannons begins, and ends, nearly a second after the first: no ping goes without reports beside it.
  const [ping, reporting] = how === 'offered' ? [pingOffered, duration] : [pingByAutocannon, duration + 1]
  const [load, reports] = await Promise.all([ping(duration), askAt(`${url}/report`, agents.report, REPORTS, reporting)])
  load.more = { 'report p50': latencyOf(reports).p50 / 1000 }
  return load
}

await put(1)
process.send?.('start')
process.send?.(await put(Number(seconds)), () => process.exit(0))
