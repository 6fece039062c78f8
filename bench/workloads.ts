/**
 * What the contestants of the relay and of tasks are asked to do, and the parts of it that have nothing to do with how
 * messages travel: what is sent, the pump that produces it, and the callers.
 */
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { type Latency, latencyOf } from './measurement.js'

export interface Workload {
  /**
   * `events` go one way, to one receiver or to all; `requests` to one that answers; `delegated` ones to whichever of the
   * servers is free.
   */
  kind: 'events' | 'requests' | 'delegated'
  payload: PayloadName
  /** Workers beside the one that sends. */
  receivers: number
  /** Requests on their way at a time. */
  inFlight?: number
  /** Sends so many a second, and measures each latency from the moment at which it should have been sent. */
  rate?: number
}

export interface Job extends Workload {
  /** Messages, requests or events: how many times to do it. */
  count: number
}

/** The seat that sends or asks. */
export const SENDER = 'sender'
/** The seat that receives or answers, where it is one. */
export const RECEIVER = '101'

/** The object that travels: its data, and what real messages have beside it. */
export interface Item {
  d: unknown
  i: number
  to: string
  type: string
}

const text = (length: number) => 'x'.repeat(length)
/** A page of rows, as a database gives them. */
const rows = (count: number) =>
  Array.from({ length: count }, (_, id) => ({ id, name: `user ${id}`, active: id % 2 === 0, note: text(40) }))

/** Of each payload its data, and the bytes of it. */
const PAYLOADS = {
  '10 B': { data: text(10), bytes: 10 },
  '100 B': { data: text(100), bytes: 100 },
  '1 kB': { data: text(1000), bytes: 1000 },
  '100 kB': { data: rows(1100), bytes: 100_000 },
  '64 kB binary': { data: new Uint8Array(65_536), bytes: 65_536 },
  '1 MB binary': { data: new Uint8Array(1_000_000), bytes: 1_000_000 },
  /** One in a hundred is large. */
  mixed: { data: text(100), bytes: 1100 },
} as const
export type PayloadName = keyof typeof PAYLOADS

export function bytesOf(payload: PayloadName): number {
  return PAYLOADS[payload].bytes
}

export function isBinary(payload: PayloadName): boolean {
  return PAYLOADS[payload].data instanceof Uint8Array
}

export function item(payload: PayloadName, i: number): Item {
  const { data } = PAYLOADS[payload === 'mixed' && i % 100 === 0 ? '100 kB' : payload]
  return { d: data, i, to: RECEIVER, type: 'task' }
}

/** An item as those carry it who know bytes alone: binary as it is, all else as JSON. */
export function pack(item: Item): string | Buffer {
  if (item.d instanceof Uint8Array) return Buffer.from(item.d.buffer, item.d.byteOffset, item.d.byteLength)
  return JSON.stringify(item)
}

/** Reads what `pack` made. */
export function unpack(packed: string | Uint8Array, payload: PayloadName): Item {
  if (isBinary(payload)) return { d: packed, i: 0, to: RECEIVER, type: 'task' }
  return JSON.parse(typeof packed === 'string' ? packed : decoder.decode(packed))
}

const decoder = new TextDecoder()

/** Everybody who receives, in this workload. */
export function receivers({ receivers }: Workload): string[] {
  return Array.from({ length: receivers }, (_, n) => String(101 + n))
}

/** How many deliveries one message of this workload causes. */
export function deliveries({ kind, receivers }: Workload): number {
  return kind === 'events' ? receivers : 1
}

/** The job from the command line, the same in a contestant's primary and in its workers. */
export function jobFromArguments(): Job {
  return JSON.parse(process.argv[2] ?? '{}')
}

/**
 * Sends `count` items as a busy but well-behaved process does: in slices, with a turn of the event loop between them.
 * `send` may return false to say that it has had enough; then the pump waits for `drained`.
 */
export async function pump(
  { count, payload }: Job,
  send: (i: number) => unknown,
  client: { drained?(): Promise<unknown>; flush?(): Promise<unknown> },
): Promise<void> {
  // 1000 messages, but no more than a few megabytes.
  const slice = Math.max(1, Math.min(1000, Math.floor(4e6 / bytesOf(payload))))
  for (let i = 0; i < count; ) {
    const end = Math.min(count, i + slice)
    while (i < end) if (send(i++) === false) await client.drained?.()
    await (client.flush?.() ?? turn())
  }
}

/**
 * Sends each at its time, whatever became of those before. Between them it sleeps, by timers that are up to a millisecond
 * late; where that is too much, it lets the event loop spin, which takes a core.
 */
export async function pumpAt(
  rate: number,
  count: number,
  wait: 'sleep' | 'spin',
  send: (i: number, due: number) => unknown,
): Promise<void> {
  const start = performance.now()
  for (let i = 0; i < count; ) {
    const now = performance.now()
    for (let due = start + (i * 1000) / rate; i < count && due <= now; due = start + (i * 1000) / rate) send(i++, due)
    await (wait === 'sleep' ? sleep(1) : turn())
  }
}

const MANY = 64
/** In milliseconds: with many in flight, and then as the job says. */
const WARM_UP = { many: 1000, few: 2000 }

/**
 * Lets V8 compile what is hot. Asking as the job says would not do where few are on their way at a time: a few thousand
 * requests run in the interpreter for longer than anybody waits for a bench, and no server does for a day. Nor would
 * many alone: with few, other ways are taken, and for those it compiles anew.
 */
export async function warmUp({ inFlight = 1 }: Job, ask: (i: number) => Promise<unknown>): Promise<void> {
  await askFor(WARM_UP.many, Math.max(inFlight, MANY), ask)
  if (inFlight < MANY) await askFor(WARM_UP.few, inFlight, ask)
}

async function askFor(ms: number, inFlight: number, ask: (i: number) => Promise<unknown>): Promise<void> {
  const end = performance.now() + ms
  let i = 0
  const caller = async () => {
    while (performance.now() < end) await ask(i++)
  }
  await Promise.all(Array.from({ length: inFlight }, caller))
}

/** Asks `count` times, as the job says, and tells how long the answers took. */
export async function askAll(job: Job, ask: (i: number) => Promise<unknown>): Promise<Latency> {
  const { count, inFlight = 1, rate } = job
  const latencies = new Float64Array(count)
  if (rate !== undefined) {
    const answers: Promise<void>[] = []
    await pumpAt(rate, count, 'spin', (i, due) => {
      answers.push(
        ask(i).then(() => {
          latencies[i] = performance.now() - due
        }),
      )
    })
    await Promise.all(answers)
    return latencyOf(latencies)
  }
  let next = 0
  const caller = async () => {
    while (next < count) {
      const i = next++
      const start = performance.now()
      await ask(i)
      latencies[i] = performance.now() - start
    }
  }
  await Promise.all(Array.from({ length: inFlight }, caller))
  return latencyOf(latencies)
}
