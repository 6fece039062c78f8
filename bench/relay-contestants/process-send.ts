/**
 * What one writes without a library. Each object goes by `process.send`, and the primary passes it on, object by object.
 */
import cluster, { type Worker } from 'node:cluster'
import { type Item, SENDER } from '../workloads.js'
import { type Client, isControl, run } from './contestant.js'

/** `call` and `answer` number the requests. */
type Message = Item & { call?: number; answer?: number }

export function relayBy(serialization: 'json' | 'advanced'): Promise<void> {
  return run({ fork: (seats) => fork(seats, serialization), connect })
}

function fork(seats: string[], serialization: 'json' | 'advanced'): void {
  cluster.setupPrimary({ serialization })
  const workers = new Map<string, Worker>()
  const receivers: Worker[] = []
  let next = 0
  for (const seat of seats) {
    const worker = cluster.fork({ SEAT: seat })
    workers.set(seat, worker)
    if (seat !== SENDER) receivers.push(worker)
    worker.on('message', (message: Message) => {
      if (isControl(message)) return
      if (message.to === 'everybody') for (const receiver of receivers) receiver.send(message)
      else if (message.to === 'anybody') receivers[next++ % receivers.length]?.send(message)
      else workers.get(message.to)?.send(message)
    })
  }
}

function connect(): Client {
  const calls = new Map<number, (answer: Item) => void>()
  let last = 0
  const send = (to: string, message: Message) => {
    message.to = to
    process.send?.(message)
  }
  const request = (to: string, item: Item) => {
    const call = ++last
    return new Promise<Item>((resolve) => {
      calls.set(call, resolve)
      send(to, { ...item, call })
    })
  }
  process.on('message', (message: Message) => {
    if (message.answer === undefined) return
    const resolve = calls.get(message.answer)
    calls.delete(message.answer)
    resolve?.(message)
  })
  return {
    listen(onItem) {
      process.on('message', (message: Message) => {
        if (!isControl(message)) onItem(message)
      })
    },
    serve() {
      process.on('message', ({ call, ...item }: Message) => {
        if (call !== undefined) send(SENDER, { ...item, answer: call })
      })
    },
    // It is never held back: waiting whenever the channel was full made it no faster.
    send,
    sendAll: (item) => send('everybody', item),
    request,
    delegate: (item) => request('anybody', item),
  }
}
