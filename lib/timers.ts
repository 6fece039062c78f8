/** Beyond this, Node's timers fire at once. */
const LONGEST = 2 ** 31 - 1

/** A timer that, unlike Node's own, takes `Infinity` and what else is too long for never. */
export function after(delay: number, run: () => void): NodeJS.Timeout | undefined {
  return delay > LONGEST ? undefined : setTimeout(run, delay)
}
