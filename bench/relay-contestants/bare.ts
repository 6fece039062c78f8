/**
 * The bare sketch: the least that batches strings, with no feature at all (no bounds, no interest, no supervision, no
 * timeouts, no values that JSON lacks). It shows how much of the wire's speed the real hub keeps.
 */
import cluster, { type Worker } from 'node:cluster'
import { type Item, RECEIVER, SENDER } from '../workloads.js'
import { type Client, run } from './contestant.js'

/** A batch of this size goes at once, however many are on their way: the sketch has no bounds. */
const BATCH = 64 * 1024
/** With so many on their way, smaller ones wait and grow. */
const IN_FLIGHT = 2
/** Length in three characters, target, kind, and the call's id in three. */
const HEADER = 8
/** Targets are one character: a seat's place in the order of forking; this one is no seat. */
const EVERYBODY = 255

const EVENT = 1
const REQUEST = 2
const ANSWER = 3

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
    channel.on('message', (batch: unknown) => {
      if (typeof batch !== 'string') return
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

await run({ fork, connect })

function fork(seats: string[]): void {
  cluster.setupPrimary({ serialization: 'advanced' })
  const links: Link[] = []
  for (const seat of seats) {
    const link = new Link(cluster.fork({ SEAT: seat }), (batch, start) => {
      const target = batch.charCodeAt(start + 3)
      let end = start + lengthAt(batch, start)
      if (target === EVERYBODY) {
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
}

function connect(): Client {
  const calls = new Map<number, (answer: unknown) => void>()
  let last = 0
  let onItem = (_: Item) => {}
  const link = new Link(process, (batch, start) => {
    const end = start + lengthAt(batch, start)
    const kind = batch.charCodeAt(start + 4)
    const id = (batch.charCodeAt(start + 5) << 16) | (batch.charCodeAt(start + 6) << 8) | batch.charCodeAt(start + 7)
    const body = JSON.parse(batch.substring(start + HEADER, end))
    if (kind === REQUEST) {
      link.push(frame(placeOf(SENDER), ANSWER, id, JSON.stringify(body)))
    } else if (kind === ANSWER) {
      const resolve = calls.get(id)
      calls.delete(id)
      resolve?.(body)
    } else {
      onItem(body)
    }
    return end
  })
  return {
    listen(listener) {
      onItem = listener
    },
    send: (to, item) => link.push(frame(placeOf(to), EVENT, 0, JSON.stringify(item))),
    sendAll: (item) => link.push(frame(EVERYBODY, EVENT, 0, JSON.stringify(item))),
    request(to, item) {
      const id = ++last & 0xffffff
      return new Promise((resolve) => {
        calls.set(id, resolve)
        link.push(frame(placeOf(to), REQUEST, id, JSON.stringify(item)))
      })
    },
  }
}

function placeOf(seat: string): number {
  return seat === SENDER ? 0 : Number(seat) - Number(RECEIVER) + 1
}
