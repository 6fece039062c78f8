/**
 * New connections all the time, and what they do to the hub's messages: two web workers serve, and two others ask and
 * answer meanwhile. What differs is how connections reach the web workers.
 */
import { fork } from 'node:child_process'
import cluster from 'node:cluster'
import { once } from 'node:events'
import http, { type Server } from 'node:http'
import { joinHub, type PrimaryHub, startHub, type WorkerHub } from 'hubwire'
import { type Latency, type Measurement, report } from '../measurement.js'
import { Meter } from '../usage.js'
import { askAll } from '../workloads.js'
import type { StormResult } from './clients.js'

export const WEB_WORKERS = 2

/** Of the hub's requests, in a second. */
const REQUESTS = 1000

interface App {
  tasks: { echo: (n: number) => number; ask: (seconds: number) => Latency; port: () => number }
}

/** Of new connections, in a second; and for how long. */
const [rate, seconds] = process.argv.slice(2).map(Number) as [number, number]

export interface Contestant {
  /** In the primary: where the connections go, a port or several. */
  open(hub: PrimaryHub<App>): Promise<number[]>
  /** In a web worker. */
  serve(server: Server, hub: WorkerHub<App>): void | Promise<void>
}

export async function run(contestant: Contestant): Promise<void> {
  if (cluster.isPrimary) await primary(contestant)
  else await worker(contestant)
}

async function primary(contestant: Contestant): Promise<void> {
  const args = process.argv.slice(2)
  const hub = await startHub<App>({
    workers: [
      { role: 'web', count: WEB_WORKERS, args },
      { id: 'asks', args },
      { id: 'answers', args },
    ],
  })
  const ports = await contestant.open(hub)
  const clients = fork(new URL('./clients.js', import.meta.url), { execArgv: [] })
  const pids = hub.members.flatMap(({ id, pid }) => (id === hub.id || pid === undefined ? [] : [pid]))
  await report({ pids: clients.pid === undefined ? pids : [clients.pid, ...pids] })

  const meter = new Meter([{ name: 'primary', pid: process.pid }, ...pids.map((pid) => ({ name: 'workers', pid }))])
  const put = async (duration: number): Promise<Measurement> => {
    const told = once(clients, 'message')
    meter.start()
    const start = performance.now()
    clients.send({ ports, rate, seconds: duration })
    const latency = await hub.to('asks').request('ask', duration)
    const [{ connected, p99 }] = (await told) as [StormResult]
    const elapsed = performance.now() - start
    return { elapsed, count: Math.max(connected, 1), usage: meter.stop(), latency, more: { 'connect p99': p99 } }
  }
  await put(1)
  await report({ result: await put(seconds) })
  clients.kill('SIGKILL')
  process.exit(0)
}

async function worker(contestant: Contestant): Promise<void> {
  const hub = await joinHub<App>({ ready: 'manual' })
  if (hub.role === 'web') {
    await contestant.serve(
      http.createServer((_request, response) => response.end('hello')),
      hub,
    )
  }
  hub.handle('echo', (n) => n)
  hub.handle('ask', (duration) => {
    const job = { kind: 'requests', payload: '10 B', receivers: 1, rate: REQUESTS, count: REQUESTS * duration } as const
    return askAll(job, (i) => hub.to('answers').request('echo', i))
  })
  hub.ready()
}
