/**
 * What every contestant is asked to do, and the parts of it that have nothing to do with how messages travel: the
 * object that is sent, the pump that produces them, the callers, and the stopwatch in the primary.
 */

export const WORKLOADS = ['oneway', 'inflight', 'lone', 'fanout'] as const
export type Workload = (typeof WORKLOADS)[number]

export interface Job {
  workload: Workload
  /** Messages, requests or events: how many times to do it. */
  count: number
}

/** What a contestant measured. */
export interface Measurement {
  /** Milliseconds of wall clock from the start signal to the end of the work, seen from the primary. */
  elapsed: number
  /** Microseconds of the primary's CPU, user and system, in that time. */
  cpu: number
  /** Microseconds of one round trip, the median; only for requests. */
  p50?: number | undefined
}

/** What a contestant's primary tells the bench. The pids come first, so that nothing is left behind on failure. */
export type Report = { pids: number[] } | { result: Measurement }

/** The object that travels: about 100 bytes of data, and what real messages have beside it. */
export interface Item {
  d: string
  i: number
  to: number
  type: string
}

const data = 'x'.repeat(100)

export function item(i: number): Item {
  return { d: data, i, to: 101, type: 'task' }
}

/** The seat that sends or asks. */
export const SENDER = 'sender'
/** The seat that receives or answers, in all workloads but the fan-out. */
export const RECEIVER = '101'

const FAN_OUT = 8

/** Everybody who receives, in this workload. */
export function receivers(workload: Workload): string[] {
  return workload === 'fanout' ? Array.from({ length: FAN_OUT }, (_, n) => String(101 + n)) : [RECEIVER]
}

/** How many deliveries one message of this workload causes. */
export function deliveries(workload: Workload): number {
  return receivers(workload).length
}

/** How many requests are under way at a time. */
export function concurrency(workload: Workload): number {
  return workload === 'inflight' ? 64 : 1
}

/** The job from the command line, the same in a contestant's primary and in its workers. */
export function jobFromArguments(): Job {
  const [workload, count] = process.argv.slice(2)
  return { workload: workload as Workload, count: Number(count) }
}

/**
 * Sends `count` items as a busy but well-behaved process does: in slices, with a turn of the event loop between them.
 * `send` may return false to say that it has had enough; then the pump waits for `drained`.
 */
export async function pump(
  count: number,
  slice: number,
  send: (i: number) => boolean,
  drained: () => Promise<void>,
): Promise<void> {
  for (let i = 0; i < count; ) {
    const end = Math.min(count, i + slice)
    while (i < end) if (!send(i++)) await drained()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Asks `count` times, `inFlight` at a time; the median round trip in microseconds. */
export async function askAll(count: number, inFlight: number, ask: (i: number) => Promise<unknown>): Promise<number> {
  const latencies = new Float64Array(count)
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
  latencies.sort()
  return (latencies[count >> 1] ?? Number.NaN) * 1000
}

/**
 * Runs in the primary. The work is done twice by the same processes: once to let V8 compile what is hot, and once more
 * under the stopwatch, from the start signal to the last of the workers' `done`.
 */
export class Stopwatch {
  #wall = 0
  #cpu = process.cpuUsage()
  #warm = false
  readonly #dones: number
  #left: number
  readonly #go: () => void
  readonly #finish: (measurement: Measurement) => void

  constructor(dones: number, go: () => void, finish: (measurement: Measurement) => void) {
    this.#dones = dones
    this.#left = dones
    this.#go = go
    this.#finish = finish
  }

  start(): void {
    this.#go()
  }

  done(p50?: number): void {
    if (--this.#left > 0) return
    if (this.#warm) {
      const elapsed = performance.now() - this.#wall
      const { user, system } = process.cpuUsage(this.#cpu)
      this.#finish({ elapsed, cpu: user + system, p50 })
      return
    }
    this.#warm = true
    this.#left = this.#dones
    this.#cpu = process.cpuUsage()
    this.#wall = performance.now()
    this.#go()
  }
}

/** Tells the bench, and resolves when it has been told. */
export function report(message: Report): Promise<void> {
  return new Promise((resolve, reject) => {
    if (!process.send) {
      console.log(message)
      resolve()
      return
    }
    process.send(message, undefined, {}, (error: Error | null) => (error ? reject(error) : resolve()))
  })
}
