/**
 * What the contestants share that send through a server of its own: the workers talk to that server, and to the primary
 * only to be told when to begin, and to say when they are done.
 */
import cluster, { type Worker } from 'node:cluster'
import {
  askAll,
  concurrency,
  type Item,
  item,
  jobFromArguments,
  pump,
  RECEIVER,
  receivers,
  report,
  SENDER,
  Stopwatch,
} from '../workloads.js'

/** A client of the server, as its own documentation says to use it. */
export interface Client {
  subscribe(channel: string, onText: (text: string) => void): Promise<void>
  publish(channel: string, text: string): void
  /** Resolves when the server has what was published so far: whoever outruns the server fills its own memory. */
  flush(): Promise<void>
  /** Answers what is asked of this id. */
  serve(id: string, answer: (input: string) => string): Promise<void>
  ask(id: string, input: string): Promise<string>
}

/** Published at a time, before the server is waited for. */
const SLICE = 1000
const EVERYBODY = 'everybody'

type Control = 'ready' | 'go' | 'done'

export async function run(connect: () => Promise<Client>): Promise<void> {
  if (cluster.isPrimary) primary()
  else await worker(await connect())
}

const { workload, count } = jobFromArguments()

function primary(): void {
  const workers: Worker[] = []
  let starting = 1 + receivers(workload).length
  const stopwatch = new Stopwatch(
    receivers(workload).length,
    () => workers[0]?.send('go' satisfies Control),
    async (result) => {
      await report({ result })
      for (const worker of workers) worker.process.kill('SIGKILL')
      process.exit(0)
    },
  )
  for (const seat of [SENDER, ...receivers(workload)]) {
    const worker = cluster.fork({ SEAT: seat })
    workers.push(worker)
    worker.on('message', (message: Control | { p50: number }) => {
      if (message === 'ready') {
        if (--starting === 0) stopwatch.start()
      } else {
        stopwatch.done(typeof message === 'object' ? message.p50 : undefined)
      }
    })
  }
  void report({ pids: workers.map((worker) => worker.process.pid ?? 0) })
}

async function worker(client: Client): Promise<void> {
  const tell = (message: Control | { p50: number }) => process.send?.(message)
  const seat = process.env.SEAT ?? ''
  if (seat === SENDER) {
    process.on('message', async () => {
      if (workload === 'oneway' || workload === 'fanout') {
        const channel = workload === 'fanout' ? EVERYBODY : RECEIVER
        let published = 0
        const send = (i: number) => {
          client.publish(channel, JSON.stringify(item(i)))
          return ++published % SLICE !== 0
        }
        await pump(count, SLICE, send, () => client.flush())
      } else {
        const p50 = await askAll(count, concurrency(workload), async (i) => {
          return JSON.parse(await client.ask(RECEIVER, JSON.stringify(item(i)))) as Item
        })
        tell({ p50 })
      }
    })
  } else {
    let received = 0
    const onText = (text: string) => {
      JSON.parse(text)
      if (++received < count) return
      received = 0
      tell('done')
    }
    await client.subscribe(seat, onText)
    await client.subscribe(EVERYBODY, onText)
    await client.serve(seat, (input) => JSON.stringify(JSON.parse(input)))
  }
  tell('ready')
}
