import { LONGEST_TIMER } from '../timers.js'

/** With more durations than this, an application computes a new one for each call: an empty lane is of no more use. */
const MAX_IDLE_LANES = 64

/** What expires when its time is over, unless it is removed before. It stands in a list of those with the same timeout. */
export class Expiring {
  readonly timeout: number
  /** By `performance.now()`. */
  dueAt = 0
  lane: Lane<this> | undefined
  before: this | undefined
  after: this | undefined

  constructor(timeout: number) {
    this.timeout = timeout
  }
}

/** What has the same timeout expires in the order in which it was added. */
interface Lane<T> {
  first: T | undefined
  last: T | undefined
  timer: NodeJS.Timeout
}

/**
 * The timeouts of many calls with one timer for each duration in use. Most calls are answered long before their time, so
 * the timer is not touched for each: it looks at the oldest when it fires.
 */
export class Expiry<T extends Expiring> {
  readonly #lanes = new Map<number, Lane<T>>()
  readonly #expired: (item: T) => void

  constructor(expired: (item: T) => void) {
    this.#expired = expired
  }

  /** `now`: by `performance.now()`. */
  add(item: T, now: number): void {
    const { timeout } = item
    if (timeout > LONGEST_TIMER) return
    let lane = this.#lanes.get(timeout)
    if (!lane) {
      lane = { first: undefined, last: undefined, timer: this.#timer(timeout, timeout) }
      this.#lanes.set(timeout, lane)
    } else if (lane.first === undefined) {
      lane.timer.ref()
    }
    item.lane = lane
    item.dueAt = now + timeout
    item.before = lane.last
    if (lane.last) lane.last.after = item
    else lane.first = item
    lane.last = item
  }

  remove(item: T): void {
    const { lane, before, after, timeout } = item
    if (!lane) return
    if (before) before.after = after
    else lane.first = after
    if (after) after.before = before
    else lane.last = before
    // A call that has come into the old generation would keep the one behind it alive, and that the next.
    item.lane = item.before = item.after = undefined
    if (lane.first) return
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

  #timer(timeout: number, ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#sweep(timeout), ms)
  }

  #sweep(timeout: number): void {
    const lane = this.#lanes.get(timeout)
    if (!lane) return
    const now = performance.now()
    const due: T[] = []
    // Node's timers may fire up to a millisecond early.
    for (let item = lane.first; item && item.dueAt - now <= 1; item = lane.first) {
      this.remove(item)
      due.push(item)
    }
    if (lane.first) lane.timer = this.#timer(timeout, lane.first.dueAt - now)
    else this.#lanes.delete(timeout)
    for (const item of due) this.#expired(item)
  }
}
