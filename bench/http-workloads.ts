/** What every HTTP server is asked to do, and the load that it gets. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import http, { type Server } from 'node:http'
import { report } from './workloads.js'

export const WORKLOADS = ['get', 'post', 'close'] as const
export type Workload = (typeof WORKLOADS)[number]

export const WORKERS = 2
export const CONNECTIONS = 50
/** How long a run takes. */
export const SECONDS = 4
/** Bytes of a posted body. */
export const BODY = 10_000

/** What the load generator tells. */
export interface Load {
  elapsed: number
  /** Milliseconds, with their fractions. */
  p50: number
  /** With a status of 2xx. */
  answered: number
}

/** The same in every worker, whoever brings its connections. */
export function createApp(): Server {
  return http.createServer((req, res) => {
    if (req.method !== 'POST') {
      res.end('hello')
      return
    }
    let length = 0
    req.on('data', (chunk: Buffer) => {
      length += chunk.length
    })
    req.on('end', () => res.end(String(length)))
  })
}

/** Puts the load on a port that is served, in a process of its own, and reports; then this one ends. */
export async function measure(port: number, pids: readonly (number | undefined)[]): Promise<void> {
  const [workload, count] = process.argv.slice(2) as [string, string]
  const load = fork(new URL('./http-load.js', import.meta.url), [String(port), workload], { execArgv: [] })
  await report({ pids: [...pids, load.pid].filter((pid) => pid !== undefined) })
  const before = process.cpuUsage()
  const { elapsed, p50, answered } = await resultOf(load)
  const { user, system } = process.cpuUsage(before)
  if (answered === 0) throw new Error('no request was answered')
  // Answers are what counts, and not requests: where the server closes connections on its own account, as
  // `@socket.io/sticky` does, every second one fails. The figures are those of so many answers as were asked for.
  const scale = Number(count) / answered
  // A measurement tells latencies in microseconds.
  await report({ result: { elapsed: elapsed * scale, cpu: (user + system) * scale, p50: p50 * 1000 } })
  // The workers end with their primary.
  process.exit(0)
}

async function resultOf(load: ChildProcess): Promise<Load> {
  const [result] = await Promise.race([
    once(load, 'message'),
    once(load, 'exit').then(([code]) => {
      throw new Error(`the load generator ended with ${code}`)
    }),
  ])
  return result as Load
}
