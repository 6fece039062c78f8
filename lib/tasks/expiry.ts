import { LONGEST_TIMER } from '../timers.js'

/** With more durations than this, an application computes a new one for each call: an empty lane is of no more use. */
const MAX_IDLE_LANES = 64

/** Calls of one timeout expire in the order in which they were made. */
interface Lane {
  readonly timeout: number
  /** Call to the time when it expires, oldest first: a Map keeps that order. */
  readonly calls: Map<number, number>
  readonly timer: NodeJS.Timeout
}

/**
 * The timeouts of many calls with one timer for each duration in use. Most calls are answered long before their time, so
 * the timer is not touched for each: it looks at the oldest when it fires.
 */
export class Expiry {
  readonly #lanes = new Map<number, Lane>()
  readonly #expired: (call: number, timeout: number) => void

  constructor(expired: (call: number, timeout: number) => void) {
    this.#expired = expired
  }

  /** `now`: by `performance.now()`. */
  add(call: number, timeout: number, now: number): void {
    if (timeout > LONGEST_TIMER) return
    let lane = this.#lanes.get(timeout)
    if (!lane) {
      const timer = setTimeout(() => this.#sweep(timeout), timeout)
      lane = { timeout, calls: new Map(), timer }
      this.#lanes.set(timeout, lane)
    } else if (lane.calls.size === 0) {
      lane.timer.ref()
    }
    lane.calls.set(call, now + timeout)
  }

  remove(call: number, timeout: number): void {
    const lane = this.#lanes.get(timeout)
    if (!lane?.calls.delete(call) || lane.calls.size > 0) return
    if (this.#lanes.size > MAX_IDLE_LANES) {
      clearTimeout(lane.timer)
      this.#lanes.delete(timeout)
    } else {
      // A timer that nobody waits for must not keep the process alive.
      lane.timer.unref()
    }
  }

  clear(): void {
    for (const lane of this.#lanes.values()) clearTimeout(lane.timer)
    this.#lanes.clear()
  }

  #sweep(timeout: number): void {
    const lane = this.#lanes.get(timeout)
    if (!lane) return
    this.#lanes.delete(timeout)
    const now = performance.now()
    for (const [call, time] of lane.calls) {
      // Node's timers may fire up to a millisecond early.
      if (time - now > 1) {
        const rest = { ...lane, timer: setTimeout(() => this.#sweep(timeout), time - now) }
        this.#lanes.set(timeout, rest)
        return
      }
      lane.calls.delete(call)
      this.#expired(call, timeout)
    }
  }
}
