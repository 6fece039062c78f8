/** What a contestant measures, and how it tells the bench. */
import type { Worker } from 'node:cluster'
import { Meter, type Process, type Usage } from './usage.js'

/** How long something took, in microseconds. */
export interface Latency {
  p50: number
  p99: number
}

export interface Measurement {
  /** Milliseconds of wall clock from the start signal to the end of the work, seen from the primary. */
  elapsed: number
  /** How many times it was done in that time. */
  count: number
  usage: Usage[]
  latency?: Latency | undefined
  /** What this bench alone measures, by name. */
  more?: Record<string, number>
}

/** What a contestant's primary tells the bench. The pids come first, so that nothing is left behind on failure. */
export type Report = { pids: number[] } | { result: Measurement }

/** Takes milliseconds, in any order. */
export function latencyOf(milliseconds: Float64Array): Latency {
  const sorted = milliseconds.toSorted()
  const at = (share: number) => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN) * 1000
  return { p50: at(0.5), p99: at(0.99) }
}

/**
 * Runs in the primary. The same processes are told several times to go: to let V8 compile what is hot, and once more
 * under the stopwatch, from the start signal to the last of the workers' `done`.
 */
export class Stopwatch {
  #wall = 0
  #warmUps: number
  #left: number
  readonly #dones: number
  readonly #count: number
  readonly #meter: Meter
  readonly #go: () => void
  readonly #finish: (measurement: Measurement) => void

  constructor(
    {
      count,
      dones,
      processes,
      warmUps = 1,
    }: { count: number; dones: number; processes: readonly Process[]; warmUps?: number },
    go: () => void,
    finish: (measurement: Measurement) => void,
  ) {
    this.#count = count
    this.#dones = dones
    this.#left = dones
    this.#warmUps = warmUps
    this.#meter = new Meter([{ name: 'primary', pid: process.pid }, ...processes])
    this.#go = go
    this.#finish = finish
  }

  start(): void {
    this.#go()
  }

  done(latency?: Latency): void {
    if (--this.#left > 0) return
    if (this.#warmUps === 0) {
      const elapsed = performance.now() - this.#wall
      this.#finish({ elapsed, count: this.#count, usage: this.#meter.stop(), latency })
      return
    }
    this.#left = this.#dones
    if (--this.#warmUps === 0) {
      this.#meter.start()
      this.#wall = performance.now()
    }
    this.#go()
  }
}

/** Ends this process and its workers; where profiles are to be written, the workers end by themselves a little later. */
export function exitWith(workers: readonly Worker[]): never {
  if (!process.execArgv.includes('--cpu-prof')) for (const worker of workers) worker.process.kill('SIGKILL')
  process.exit(0)
}

/** Tells the bench, and resolves when it has been told. */
export function report(message: Report): Promise<void> {
  return new Promise((resolve, reject) => {
    if (!process.send) {
      console.dir(message, { depth: 9 })
      resolve()
      return
    }
    process.send(message, undefined, {}, (error: Error | null) => (error ? reject(error) : resolve()))
  })
}
