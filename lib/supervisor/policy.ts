import type { Exit } from '../types.js'
import type { Supervision } from './options.js'

/** What follows when a process has ended. */
export type Verdict =
  | { readonly action: 'restart'; readonly attempt: number; readonly delay: number }
  | { readonly action: 'stay-down' }
  | { readonly action: 'give-up'; readonly restarts: number; readonly period: number }

/** Where a policy gets its time and its chance from, so that tests can say. */
export interface PolicySources {
  /** Milliseconds, never going back. */
  now(): number
  /** From 0 up to 1. */
  random(): number
}

const REAL: PolicySources = { now: () => performance.now(), random: () => Math.random() }

/** Beyond this many doublings every sensible `max` is reached; it keeps the power finite, and `0 * Infinity` away. */
const MOST_DOUBLINGS = 64

/** Decides, for one seat, whether and when a process that ended is replaced. Holds no timer and starts nothing. */
export class RestartPolicy {
  readonly #options: Pick<Supervision, 'restart' | 'intensity' | 'backoff'>
  readonly #sources: PolicySources
  /** When restarts were granted, within the last period. */
  #granted: number[] = []
  /** Restarts since the seat was last steady. */
  #attempts = 0
  #upSince: number | undefined

  constructor(options: Pick<Supervision, 'restart' | 'intensity' | 'backoff'>, sources: PolicySources = REAL) {
    this.#options = options
    this.#sources = sources
  }

  /** The seat's process became ready. Time before that does not count as being up: it may have been a hanging start. */
  up(): void {
    this.#upSince = this.#sources.now()
  }

  /** The seat's process ended, and nobody asked it to. */
  exited(exit: Exit): Verdict {
    const now = this.#sources.now()
    const { restart, intensity } = this.#options
    const steady = this.#upSince !== undefined && now - this.#upSince >= intensity.period
    this.#upSince = undefined
    if (steady) this.#attempts = 0
    if (restart === 'never' || (restart === 'on-failure' && exit.code === 0)) return { action: 'stay-down' }

    this.#granted = this.#granted.filter((time) => now - time < intensity.period)
    if (this.#granted.length >= intensity.restarts) return { action: 'give-up', ...intensity }
    // Nothing to count where there is no limit.
    if (intensity.restarts !== Infinity) this.#granted.push(now)
    this.#attempts++
    return { action: 'restart', attempt: this.#attempts, delay: this.#delay() }
  }

  /** Forgets the history: somebody restarted the seat by hand. */
  reset(): void {
    this.#granted = []
    this.#attempts = 0
    this.#upSince = undefined
  }

  /**
   * Uniform between this step and the next, so that workers that died together do not come back together; in the upper
   * half of `max` once that is reached. Never outside `min` and `max`.
   */
  #delay(): number {
    const { min, max } = this.#options.backoff
    const upper = Math.min(max, min * 2 ** Math.min(this.#attempts, MOST_DOUBLINGS))
    const lower = Math.max(min, upper / 2)
    return Math.round(lower + this.#sources.random() * (upper - lower))
  }
}
