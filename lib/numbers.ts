/**
 * The number behind `last`, for something that is to be told from all that is under way: after `end` they begin anew with
 * `first`, and those in use are skipped. Some must be free.
 */
export function nextNumber(last: number, first: number, end: number, used: { has(n: number): boolean }): number {
  let next = last
  do next = next >= end ? first : next + 1
  while (used.has(next))
  return next
}
