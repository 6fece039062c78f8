/**
 * The baseline: what one writes without a library. Each object goes by `process.send`, as JSON, and the primary passes
 * it on, object by object.
 */
import cluster, { type Worker } from 'node:cluster'
import {
  askAll,
  concurrency,
  type Item,
  item,
  jobFromArguments,
  pump,
  receivers,
  report,
  SENDER,
  Stopwatch,
} from '../workloads.js'

type Message = (Item & { call?: number; answer?: number }) | { control: 'ready' | 'go' | 'done'; p50?: number }

const { workload, count } = jobFromArguments()

if (cluster.isPrimary) primary()
else worker()

function primary(): void {
  cluster.setupPrimary({ serialization: 'json' })
  const workers = new Map<string, Worker>()
  const targets: Worker[] = []
  let starting = 1 + receivers(workload).length

  const stopwatch = new Stopwatch(
    receivers(workload).length,
    () => workers.get(SENDER)?.send({ control: 'go' }),
    async (result) => {
      await report({ result })
      for (const worker of workers.values()) worker.process.kill('SIGKILL')
      process.exit(0)
    },
  )

  for (const seat of [SENDER, ...receivers(workload)]) {
    const worker = cluster.fork()
    workers.set(seat, worker)
    if (seat !== SENDER) targets.push(worker)
    worker.on('message', (message: Message) => {
      if ('control' in message) {
        if (message.control === 'done') return stopwatch.done(message.p50)
        if (message.control === 'ready' && --starting === 0) stopwatch.start()
      } else if (workload === 'fanout') {
        for (const target of targets) target.send(message)
      } else if (message.answer !== undefined) {
        workers.get(SENDER)?.send(message)
      } else {
        workers.get(String(message.to))?.send(message)
      }
    })
  }
  void report({ pids: [...workers.values()].map((worker) => worker.process.pid ?? 0) })
}

function worker(): void {
  const send = (message: Message) => process.send?.(message) ?? false
  const calls = new Map<number, (answer: Item) => void>()
  let received = 0

  process.on('message', (message: Message) => {
    if ('control' in message) {
      if (message.control === 'go') void produce()
    } else if (message.answer !== undefined) {
      const resolve = calls.get(message.answer)
      calls.delete(message.answer)
      resolve?.(message)
    } else if (message.call !== undefined) {
      const { d, i, to, type, call } = message
      send({ d, i, to, type, answer: call })
    } else if (++received === count) {
      received = 0
      send({ control: 'done' })
    }
  })
  send({ control: 'ready' })

  async function produce(): Promise<void> {
    if (workload === 'oneway' || workload === 'fanout') {
      // A steady pump, never held back: waiting whenever the channel was full made it no faster.
      const slice = workload === 'fanout' ? 200 : 500
      await pump(
        count,
        slice,
        (i) => {
          send(item(i))
          return true
        },
        async () => {},
      )
      return
    }
    const p50 = await askAll(count, concurrency(workload), (call) => {
      return new Promise((resolve) => {
        calls.set(call, resolve)
        send({ ...item(call), call })
      })
    })
    send({ control: 'done', p50 })
  }
}
