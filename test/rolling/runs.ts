/** From one number to another, each once and in order. */
export type Run = [first: number, last: number]

/**
 * The numbers of one stream in the order in which they came, as runs of consecutive ones. What came exactly once and in
 * order is one run, however long.
 */
export class Runs {
  readonly list: Run[] = []

  add(n: number): void {
    const run = this.list.at(-1)
    if (run && n === run[1] + 1) run[1] = n
    else this.list.push([n, n])
  }
}

/** All from `first` to `last`, once each, in any order; nothing, where `last` is less. */
export function isComplete(runs: readonly Run[], first: number, last: number): boolean {
  let next = first
  for (const [from, to] of runs.toSorted((a, b) => a[0] - b[0])) {
    if (from !== next) return false
    next = to + 1
  }
  return next === last + 1
}

/** No number before a smaller one, and none twice. */
export function isIncreasing(runs: readonly Run[]): boolean {
  return runs.every(([from], i) => from > (runs[i - 1]?.[1] ?? -1))
}

/** None twice. */
export function isDistinct(runs: readonly Run[]): boolean {
  return isIncreasing(runs.toSorted((a, b) => a[0] - b[0]))
}

export function show(runs: readonly Run[]): string {
  const some = runs.slice(0, 6).map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`))
  return runs.length === 0 ? 'nothing' : some.join(', ') + (runs.length > some.length ? ', …' : '')
}
