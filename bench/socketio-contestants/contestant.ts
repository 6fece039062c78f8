/** What is the same for all adapters: the servers, who sends, and the clients' count. */
import { fork } from 'node:child_process'
import cluster, { type Worker } from 'node:cluster'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server } from 'socket.io'
import { report, Stopwatch } from '../workloads.js'
import type { FromClients, ToClients } from './clients.js'

export const SOCKETIO_WORKLOADS = ['rooms-2', 'rooms-8', 'broadcast'] as const
export type SocketIoWorkload = (typeof SOCKETIO_WORKLOADS)[number]

/** An adapter with its way to fork workers. */
export interface Contestant {
  /** Forks so many workers, which run this very file. */
  start(workers: number): Promise<void>
  /** In a worker. */
  attach(io: Server): Promise<void>
}

export const CLIENTS = 2000

/** How many deliveries may be on their way: no adapter tells its senders to slow down. */
const WINDOW = { room: 2000, broadcast: 20 * CLIENTS }
/** How often the clients tell what they got, in deliveries. */
const EVERY = { room: 250, broadcast: CLIENTS }

type ToWorker = { bench: 'go' } | { bench: 'delivered'; count: number }
type FromWorker = { bench: 'listening'; port: number }

const [workload, countText] = process.argv.slice(2) as [SocketIoWorkload, string]
const count = Number(countText)
const kind = workload === 'broadcast' ? 'broadcast' : 'room'
const receivers = kind === 'broadcast' ? CLIENTS : 1

export async function run(contestant: Contestant): Promise<void> {
  if (cluster.isPrimary) await primary(contestant)
  else await worker(contestant)
}

async function primary(contestant: Contestant): Promise<void> {
  const listening: { worker: Worker; port: number }[] = []
  const size = workload === 'rooms-8' ? 8 : 2
  const ready = new Promise<void>((resolve) => {
    cluster.on('message', (worker, message: FromWorker) => {
      if (message?.bench !== 'listening') return
      listening.push({ worker, port: message.port })
      if (listening.length === size) resolve()
    })
  })
  await contestant.start(size)
  await ready
  const clients = fork(new URL('./clients.js', import.meta.url))
  const pids = [clients.pid, ...listening.map(({ worker }) => worker.process.pid)]
  await report({ pids: pids.filter((pid) => pid !== undefined) })
  process.once('exit', () => clients.kill('SIGKILL'))

  const [sender, receiver] = listening as [(typeof listening)[0], (typeof listening)[0]]
  const tell = (message: ToWorker) => sender.worker.send(message)
  let goal = 0
  const stopwatch = new Stopwatch(
    1,
    () => {
      goal += count * receivers
      tell({ bench: 'go' })
    },
    async (result) => {
      await report({ result })
      clients.kill('SIGKILL')
      for (const { worker } of listening) worker.process.kill('SIGKILL')
      process.exit(0)
    },
  )
  clients.on('message', (message: FromClients) => {
    if ('received' in message) {
      tell({ bench: 'delivered', count: message.received })
      if (message.received === goal) stopwatch.done()
    } else {
      // The adapters with heartbeats have to find each other first.
      setTimeout(() => stopwatch.start(), 1000)
    }
  })
  const connect =
    kind === 'broadcast'
      ? listening.map(({ port }) => ({ port, count: CLIENTS / listening.length }))
      : [{ port: receiver.port, count: 1 }]
  clients.send({ connect, every: EVERY[kind] } satisfies ToClients)
}

async function worker(contestant: Contestant): Promise<void> {
  const server = http.createServer()
  const io = new Server(server, { serveClient: false, transports: ['websocket'], pingInterval: 300_000 })
  await contestant.attach(io)
  io.on('connection', (socket) => {
    socket.join('room')
  })
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1', exclusive: true }, resolve))

  let sent = 0
  let delivered = 0
  let goal = 0
  let pumping = false
  const pump = () => {
    pumping = false
    for (let slice = 0; slice < 100 && sent < goal && sent * receivers - delivered < WINDOW[kind]; slice++) {
      const message = { text: 'hello world', n: sent++, user: 'alice' }
      if (kind === 'room') io.to('room').emit('m', message)
      else io.emit('m', message)
    }
    if (sent < goal && sent * receivers - delivered < WINDOW[kind]) schedule()
  }
  const schedule = () => {
    if (pumping) return
    pumping = true
    setImmediate(pump)
  }
  process.on('message', (message: ToWorker) => {
    if (message?.bench === 'go') goal += count
    else if (message?.bench === 'delivered') delivered = message.count
    else return
    schedule()
  })
  process.send?.({ bench: 'listening', port: (server.address() as AddressInfo).port } satisfies FromWorker)
}

/** Deliveries that a job of this workload comes to. */
export function deliveriesOf(workload: SocketIoWorkload, count: number): number {
  return workload === 'broadcast' ? count * CLIENTS : count
}

/** A count whose deliveries the clients tell to the last. */
export function roundUp(workload: SocketIoWorkload, count: number): number {
  return workload === 'broadcast' ? count : Math.ceil(count / EVERY.room) * EVERY.room
}
