/** In milliseconds, 25 days. Beyond it Node's timers fire at once; so long a wait is as good as none. */
export const LONGEST_TIMER = 2 ** 31 - 1

/** A timer that, unlike Node's own, takes `Infinity` and what else is too long for never. */
export function after(delay: number, run: () => void): NodeJS.Timeout | undefined {
  return delay > LONGEST_TIMER ? undefined : setTimeout(run, delay)
}

/** How long one comparison of the two clocks is good for, in milliseconds: what changes the wall clock is rare. */
const COMPARED = 1000

let ahead = 0
let comparedAt = Number.NEGATIVE_INFINITY

/**
 * The wall clock, in milliseconds since the epoch, at a moment of `performance.now()`. Reading a clock costs a call as
 * much as all its look-ups, and a call needs both of them.
 */
export function wallClockAt(now: number): number {
  if (now - comparedAt > COMPARED) {
    ahead = Date.now() - now
    comparedAt = now
  }
  return now + ahead
}
