/** What is the same for all adapters: the servers, who sends, and the clients' count. */
import { fork } from 'node:child_process'
import cluster, { type Worker } from 'node:cluster'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server } from 'socket.io'
import { exitWith, report, Stopwatch } from '../measurement.js'
import { type SocketIoJob, tellEvery, windowOf } from '../socketio-workloads.js'
import { serverProcesses } from '../usage.js'
import type { FromClients, ToClients } from './clients.js'

/** An adapter with its way to fork workers. */
export interface Contestant {
  /** Forks so many workers, which run this very file. */
  start(workers: number): Promise<void>
  /** In a worker. */
  attach(io: Server): Promise<void>
  /** What the program of its server is called; its CPU and memory are counted. */
  server?: string
}

type ToWorker = { bench: 'go' } | { bench: 'delivered'; count: number }
type FromWorker = { bench: 'listening'; port: number }

const job: SocketIoJob = JSON.parse(process.argv[2] ?? '{}')
/** Clients that each message reaches. */
const receivers = job.kind === 'broadcast' ? job.clients : 1

export async function run(contestant: Contestant): Promise<void> {
  if (cluster.isPrimary) await primary(contestant)
  else await worker(contestant)
}

async function primary(contestant: Contestant): Promise<void> {
  const listening: { worker: Worker; port: number }[] = []
  const ready = new Promise<void>((resolve) => {
    cluster.on('message', (worker, message: FromWorker) => {
      if (message?.bench !== 'listening') return
      listening.push({ worker, port: message.port })
      if (listening.length === job.workers) resolve()
    })
  })
  await contestant.start(job.workers)
  await ready
  const clients = fork(new URL('./clients.js', import.meta.url))
  const workers = listening.flatMap(({ worker: { process } }) => (process.pid === undefined ? [] : [process.pid]))
  await report({ pids: clients.pid === undefined ? workers : [clients.pid, ...workers] })
  process.once('exit', () => clients.kill('SIGKILL'))

  const sender = listening[0] as (typeof listening)[0]
  const receiver = listening.at(-1) as (typeof listening)[0]
  const tell = (message: ToWorker) => sender.worker.send(message)
  let goal = 0
  const stopwatch = new Stopwatch(
    {
      count: job.count,
      dones: 1,
      processes: [
        ...workers.flatMap((pid) => [
          { name: 'workers', pid },
          { name: pid === sender.worker.process.pid ? 'sender' : 'receivers', pid },
        ]),
        ...(contestant.server ? serverProcesses(contestant.server) : []),
      ],
    },
    () => {
      goal += job.count * receivers
      tell({ bench: 'go' })
    },
    async (result) => {
      await report({ result })
      clients.kill('SIGKILL')
      exitWith(listening.map(({ worker }) => worker))
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
    job.kind === 'broadcast'
      ? listening.map(({ port }) => ({ port, count: job.clients / listening.length }))
      : [{ port: receiver.port, count: 1 }]
  clients.send({ connect, every: tellEvery(job) } satisfies ToClients)
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
  let start = 0
  let sentBefore = 0
  const mayGo = () => {
    if (sent >= goal) return false
    if (job.rate === undefined) return sent * receivers - delivered < windowOf(job)
    return (sent - sentBefore) * receivers <= ((performance.now() - start) / 1000) * job.rate
  }
  const pump = () => {
    pumping = false
    for (let slice = 0; slice < 100 && mayGo(); slice++) {
      const message = { text: 'hello world', n: sent++, user: 'alice' }
      if (job.kind === 'room') io.to('room').emit('m', message)
      else io.emit('m', message)
    }
    if (job.rate === undefined ? mayGo() : sent < goal) schedule()
  }
  const schedule = () => {
    if (pumping) return
    pumping = true
    if (job.rate === undefined) setImmediate(pump)
    else setTimeout(pump, 1)
  }
  process.on('message', (message: ToWorker) => {
    if (message?.bench === 'go') {
      goal += job.count
      start = performance.now()
      sentBefore = sent
    } else if (message?.bench === 'delivered') delivered = message.count
    else return
    schedule()
  })
  process.send?.({ bench: 'listening', port: (server.address() as AddressInfo).port } satisfies FromWorker)
}
