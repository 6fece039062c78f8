import { setImmediate as turn } from 'node:timers/promises'
import type { HandleLane } from './wire/handle-lane.js'

/** So many sessions are under way at once: a client hears nothing for as long as those take that were taken with it … */
const FEW = 6
/** … or more, where all would not have gone when so much of the time is over: that is better than to be cut off. */
const AIM = 1 / 2
/** So many are taken in one turn: what is told of them leaves together, but their handles go one by one. */
const IN_A_TURN = 3
/** … when it is over; this process has others to serve meanwhile. */
const IN_HASTE = 20
/** Of how long sessions have taken of late, the share of the last one. */
const NEWEST = 1 / 8
/** How often it is looked again in any case, in milliseconds. */
const LOOK = 5

/**
 * How many sessions are taken at a time that go to another process. Those whose handles would only wait for others are
 * better off where they are.
 */
export class Pace {
  readonly #lane: HandleLane
  /** By `performance.now()`. */
  readonly #aim: number
  #room = 0
  #underWay = 0
  #arrived = 0
  /** How long sessions take, in milliseconds. */
  #took = 0
  #onNews = () => {}

  /** @param within how long all of it may take, in milliseconds */
  constructor(lane: HandleLane, within: number) {
    this.#lane = lane
    this.#aim = performance.now() + within * AIM
  }

  /** Whether one more may be taken. */
  get allows(): boolean {
    return this.#room > 0
  }

  /** Resolves soon, when one may, of those that are `left`; all that has been read is dispatched then. */
  async next(left: number): Promise<void> {
    // Those of this turn are on their way then.
    await turn()
    this.#room = this.#roomFor(left)
    if (this.#room === 0) await this.news()
  }

  /** How many are to be taken now. */
  #roomFor(left: number): number {
    const within = this.#aim - performance.now()
    if (within <= 0) return IN_HASTE
    if (this.#lane.waiting > 0) return 0
    // By Little's law.
    const needed = (left * this.#took) / within
    // The other process does for the first time what the first ones take.
    const atOnce = Math.max(needed, Math.min(FEW, 1 + this.#arrived))
    const room = atOnce - this.#underWay
    return room < Math.min(IN_A_TURN, atOnce / 2) ? 0 : Math.min(IN_A_TURN, Math.ceil(room))
  }

  /** One has been taken. Returns what is to be called when it has arrived, or is lost. */
  taken(): () => void {
    const since = performance.now()
    this.#room--
    this.#underWay++
    return () => {
      this.#underWay--
      this.#arrived++
      this.#took += (performance.now() - since - this.#took) * NEWEST
      this.#onNews()
    }
  }

  /** Resolves when one has arrived, or is lost, and when all handles have been taken; but soon in any case. */
  async news(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const arrived = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LOOK)
      this.#onNews = resolve
    })
    await Promise.race(this.#lane.isIdle ? [arrived] : [arrived, this.#lane.idle()])
    clearTimeout(timer)
  }
}
