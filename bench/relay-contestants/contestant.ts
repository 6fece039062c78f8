/**
 * What is the same for all who carry messages between workers: the processes, who sends and who counts, and the
 * stopwatch. Each contestant brings a client. Start and end are told by plain `process.send`, beside what is measured.
 */
import cluster from 'node:cluster'
import { exitWith, type Latency, report, Stopwatch } from '../measurement.js'
import { serverProcesses } from '../usage.js'
import {
  askAll,
  type Item,
  item,
  jobFromArguments,
  pump,
  pumpAt,
  RECEIVER,
  receivers,
  SENDER,
  warmUp,
} from '../workloads.js'

/** A worker's way to the others. */
export interface Client {
  /** In receivers: what is sent to this seat, or to all, goes to `onItem`. Resolves when nothing is missed any more. */
  listen?(onItem: (item: Item) => void): void | Promise<void>
  /** In receivers: answers requests to this seat, and delegated ones, with what came. */
  serve?(): void | Promise<void>
  /** May return false, to say that it has had enough. */
  send?(seat: string, item: Item): unknown
  sendAll?(item: Item): unknown
  /** Where `send` returned false: resolves when there may be more. */
  drained?(): Promise<unknown>
  /** Where `send` never does: resolves when the server has what was sent. Whoever outruns it fills its own memory. */
  flush?(): Promise<unknown>
  request?(seat: string, item: Item): Promise<unknown>
  delegate?(item: Item): Promise<unknown>
}

export interface Contestant {
  /** Forks a worker for each of the seats, which it finds in its `SEAT`. */
  fork?(seats: string[]): void | Promise<void>
  /** In a worker. */
  connect(seat: string): Client | Promise<Client>
  /** What the program of its server is called; its CPU and memory are counted. */
  server?: string
  /** The seats are threads of the sender: it alone is forked. */
  threads?: boolean
}

export const job = jobFromArguments()

/**
 * Of those who send events as fast as they may: after one of a third of a second V8 is still compiling, and collects all
 * that the start has left, on threads whose time counts as that of the messages.
 */
const WARM_UPS = 3

/** Of the channels at a server that others use, too, those of this run. */
export const PREFIX = `hubwire-bench-${cluster.isPrimary ? process.pid : process.ppid}-`

type Control = { bench: 'ready'; seat: string } | { bench: 'go' } | { bench: 'done'; latency?: Latency | undefined }

/** Those of `process.send` share the channel with the bench. */
export function isControl(message: unknown): message is Control {
  return typeof message === 'object' && message !== null && 'bench' in message
}

export async function run(contestant: Contestant): Promise<void> {
  if (cluster.isPrimary) await primary(contestant)
  else await worker(contestant)
}

async function primary(contestant: Contestant): Promise<void> {
  const seats = contestant.threads ? [SENDER] : [SENDER, ...receivers(job)]
  const workers = () => Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined)
  const pids = () => workers().flatMap(({ process: { pid } }) => (pid === undefined ? [] : [pid]))
  let sender: number | undefined
  let starting = seats.length
  let stopwatch: Stopwatch
  let go = () => {}

  const start = () => {
    stopwatch = new Stopwatch(
      {
        count: job.count,
        dones: job.kind === 'events' ? job.receivers : 1,
        warmUps: job.kind === 'events' && job.rate === undefined ? WARM_UPS : 1,
        processes: [
          ...pids().flatMap((pid) => [
            { name: 'workers', pid },
            { name: pid === sender ? 'sender' : 'receivers', pid },
          ]),
          ...(contestant.server ? serverProcesses(contestant.server) : []),
        ],
      },
      go,
      async (result) => {
        await report({ result })
        exitWith(workers())
      },
    )
    stopwatch.start()
  }

  cluster.on('message', (worker, message: unknown) => {
    if (!isControl(message)) return
    if (message.bench === 'done') return stopwatch.done(message.latency)
    if (message.bench !== 'ready') return
    if (message.seat === SENDER) {
      sender = worker.process.pid
      go = () => worker.send({ bench: 'go' } satisfies Control)
    }
    if (--starting === 0) start()
  })
  // Whoever dies takes the run with it, at once; at its end they are killed by the one that exits.
  cluster.on('exit', () => process.exit(1))
  if (contestant.fork) await contestant.fork(seats)
  else for (const seat of seats) cluster.fork({ SEAT: seat })
  await report({ pids: pids() })
}

async function worker(contestant: Contestant): Promise<void> {
  const tell = (message: Control) => process.send?.(message)
  const seat = process.env.SEAT ?? ''
  const client = await contestant.connect(seat)

  if (seat === SENDER) {
    process.on('message', async (message) => {
      if (!isControl(message) || message.bench !== 'go') return
      const latency = await work(client)
      if (job.kind !== 'events') tell({ bench: 'done', latency })
    })
  } else if (job.kind === 'events') {
    let received = 0
    await client.listen?.(() => {
      if (++received < job.count) return
      received = 0
      tell({ bench: 'done' })
    })
  } else {
    await client.serve?.()
  }
  tell({ bench: 'ready', seat })
}

let warm = false

async function work(client: Client): Promise<Latency | undefined> {
  const make = (i: number) => item(job.payload, i)
  if (job.kind !== 'events') {
    const ask =
      job.kind === 'requests'
        ? (i: number) => able(client.request)(RECEIVER, make(i))
        : (i: number) => able(client.delegate)(make(i))
    if (warm) return askAll(job, ask)
    warm = true
    await warmUp(job, ask)
    return undefined
  }
  const send = job.receivers === 1 ? able(client.send).bind(client, RECEIVER) : able(client.sendAll).bind(client)
  const sendOne = (i: number) => send(make(i))
  if (job.rate !== undefined) await pumpAt(job.rate, job.count, 'sleep', sendOne)
  else await pump(job, sendOne, client)
  return undefined
}

function able<Method>(method: Method | undefined): Method {
  if (!method) throw new Error(`this contestant has no way for ${job.kind}`)
  return method
}
