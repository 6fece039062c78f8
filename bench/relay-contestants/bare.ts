/**
 * The bare sketch: the least that batches strings, with no feature at all (no bounds, no interest, no supervision, no
 * timeouts, no values that JSON lacks). It shows how much of the wire's speed the real hub keeps.
 */
import cluster, { type Worker } from 'node:cluster'
import {
  askAll,
  concurrency,
  item,
  jobFromArguments,
  pump,
  receivers,
  report,
  SENDER,
  Stopwatch,
} from '../workloads.js'

/** A batch of this size goes at once, however many are on their way: the sketch has no bounds. */
const BATCH = 64 * 1024
/** With so many on their way, smaller ones wait and grow. */
const IN_FLIGHT = 2
/** Length in three characters, target, kind, and the call's id in three. */
const HEADER = 8
/** Targets are one character: a seat's place in the order of forking; the two below are no seats. */
const PRIMARY = 254
const EVERYBODY = 255

const EVENT = 1
const REQUEST = 2
const ANSWER = 3
const READY = 4
const GO = 5
const DONE = 6

/** Does something with the frame or frames at `start`, and says where the next one starts. */
type OnFrame = (batch: string, start: number) => number

function lengthAt(batch: string, at: number): number {
  return (batch.charCodeAt(at) << 16) | (batch.charCodeAt(at + 1) << 8) | batch.charCodeAt(at + 2)
}

function frame(target: number, kind: number, id: number, body: string): string {
  const length = HEADER + body.length
  const { fromCharCode } = String
  return (
    fromCharCode(length >> 16, (length >> 8) & 255, length & 255, target, kind) +
    fromCharCode((id >> 16) & 255, (id >> 8) & 255, id & 255) +
    body
  )
}

class Link {
  #post: (batch: string, gone: () => void) => void
  #batch = ''
  #inFlight = 0
  #scheduled = false

  constructor(channel: Worker | NodeJS.Process, onFrame: OnFrame) {
    this.#post = (batch, gone) => channel.send?.(batch, undefined, undefined, gone)
    channel.on('message', (batch: string) => {
      for (let at = 0; at < batch.length; ) at = onFrame(batch, at)
    })
  }

  push(frame: string): void {
    this.#batch += frame
    if (this.#batch.length > BATCH) {
      this.#flush()
    } else if (!this.#scheduled && this.#inFlight < IN_FLIGHT) {
      this.#scheduled = true
      queueMicrotask(this.#onMicrotask)
    }
  }

  #onMicrotask = (): void => {
    this.#scheduled = false
    this.#flush()
  }

  #onGone = (): void => {
    this.#inFlight--
    this.#flush()
  }

  #flush(): void {
    if (this.#batch === '') return
    const batch = this.#batch
    this.#batch = ''
    this.#inFlight++
    this.#post(batch, this.#onGone)
  }
}

const { workload, count } = jobFromArguments()
const seats = [SENDER, ...receivers(workload)]

if (cluster.isPrimary) primary()
else worker(Number(process.env.SEAT))

function primary(): void {
  cluster.setupPrimary({ serialization: 'advanced' })
  const workers: Worker[] = []
  const links: Link[] = []
  let starting = seats.length

  const stopwatch = new Stopwatch(
    receivers(workload).length,
    () => links[0]?.push(frame(0, GO, 0, '')),
    async (result) => {
      await report({ result })
      for (const worker of workers) worker.process.kill('SIGKILL')
      process.exit(0)
    },
  )

  const control = (kind: number, body: string) => {
    if (kind === DONE) return stopwatch.done(body ? Number(body) : undefined)
    if (--starting === 0) stopwatch.start()
  }

  for (let seat = 0; seat < seats.length; seat++) {
    const worker = cluster.fork({ SEAT: seat })
    workers.push(worker)
    const link = new Link(worker, (batch, start) => {
      const target = batch.charCodeAt(start + 3)
      let end = start + lengthAt(batch, start)
      if (target === PRIMARY) {
        control(batch.charCodeAt(start + 4), batch.substring(start + HEADER, end))
      } else if (target === EVERYBODY) {
        // Neighbours with the same targets are cut out together: eight appends for all of them, not for each.
        while (end < batch.length && batch.charCodeAt(end + 3) === EVERYBODY) end += lengthAt(batch, end)
        const run = batch.substring(start, end)
        for (const other of links) if (other !== link) other.push(run)
      } else {
        links[target]?.push(batch.substring(start, end))
      }
      return end
    })
    links.push(link)
  }
  void report({ pids: workers.map((worker) => worker.process.pid ?? 0) })
}

function worker(seat: number): void {
  const calls = new Map<number, (answer: unknown) => void>()
  let received = 0

  const link = new Link(process, (batch, start) => {
    const end = start + lengthAt(batch, start)
    const kind = batch.charCodeAt(start + 4)
    if (kind === GO) {
      void produce()
      return end
    }
    const id = (batch.charCodeAt(start + 5) << 16) | (batch.charCodeAt(start + 6) << 8) | batch.charCodeAt(start + 7)
    const body = JSON.parse(batch.substring(start + HEADER, end))
    if (kind === REQUEST) {
      link.push(frame(0, ANSWER, id, JSON.stringify(body)))
    } else if (kind === ANSWER) {
      const resolve = calls.get(id)
      calls.delete(id)
      resolve?.(body)
    } else if (++received === count) {
      received = 0
      link.push(frame(PRIMARY, DONE, 0, ''))
    }
    return end
  })
  link.push(frame(PRIMARY, READY, seat, ''))

  async function produce(): Promise<void> {
    if (workload === 'oneway' || workload === 'fanout') {
      const target = workload === 'fanout' ? EVERYBODY : 1
      const send = (i: number) => {
        link.push(frame(target, EVENT, 0, JSON.stringify(item(i))))
        return true
      }
      await pump(count, 1000, send, async () => {})
      return
    }
    const p50 = await askAll(count, concurrency(workload), (call) => {
      const id = call & 0xffffff
      return new Promise((resolve) => {
        calls.set(id, resolve)
        link.push(frame(1, REQUEST, id, JSON.stringify(item(call))))
      })
    })
    link.push(frame(PRIMARY, DONE, 0, String(p50)))
  }
}
