/** What every HTTP server is asked to do, and the load that it gets. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import http, { type Server } from 'node:http'
import type { Server as SocketIoServer } from 'socket.io'
import { type Latency, report } from './measurement.js'
import { Meter } from './usage.js'

/** `polling` is `get` with Socket.IO clients that poll in the mix, `offered` is `get` at a fixed rate. */
export const WORKLOADS = ['get', 'offered', 'post', 'close', 'polling'] as const
export type Workload = (typeof WORKLOADS)[number]

/** Seconds before anything is measured: after one of them V8 still compiles what requests and connections run. */
export const WARM_UP = 3

export const WORKERS = 2
export const CONNECTIONS = 50
/** Of `offered`, requests a second. */
export const OFFERED = 1000
/** Of `polling`, beside the connections. */
export const POLLING_CLIENTS = 10
/** Bytes of a posted body. */
export const BODY = 10_000

/** What a load generator tells. */
export interface Load {
  /** Milliseconds. */
  elapsed: number
  /** Answers with a status of 2xx. */
  answered: number
  latency: Latency
  more?: Record<string, number>
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

/** What the polling clients talk to. */
export function serveEcho(io: SocketIoServer): void {
  io.on('connection', (socket) => {
    socket.on('echo', (answer: () => void) => answer())
  })
}

/**
 * Puts the load on a port that is served, in a process of its own that has the arguments of this one, and reports. Then
 * this process ends, and its workers with it.
 */
export async function measure(
  port: number,
  workers: readonly (number | undefined)[],
  generator = './http-load.js',
): Promise<void> {
  const load = fork(new URL(generator, import.meta.url), [String(port), ...process.argv.slice(2)], { execArgv: [] })
  const pids = workers.filter((pid) => pid !== undefined)
  await report({ pids: load.pid === undefined ? pids : [...pids, load.pid] })
  const meter = new Meter([{ name: 'primary', pid: process.pid }, ...pids.map((pid) => ({ name: 'workers', pid }))])
  // The load warms up first, and tells when it begins.
  await messageOf(load)
  meter.start()
  const { elapsed, answered, latency, more } = (await messageOf(load)) as Load
  const usage = meter.stop()
  if (answered === 0) throw new Error('no request was answered')
  // Answers are what counts, and not requests: where the server closes connections on its own account, as
  // `@socket.io/sticky` does, every second one fails.
  await report({ result: { elapsed, count: answered, usage, latency, ...(more && { more }) } })
  process.exit(0)
}

async function messageOf(load: ChildProcess): Promise<unknown> {
  const [message] = await Promise.race([
    once(load, 'message'),
    once(load, 'exit').then(([code]) => {
      throw new Error(`the load generator ended with ${code}`)
    }),
  ])
  return message
}
