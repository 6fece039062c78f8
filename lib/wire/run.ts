import { eventBody, isWellFormed, readLength, sameEventHead } from './frame.js'

/** Beyond these a further body brings nothing: what is saved for each event is the same few hundred nanoseconds. */
const MAX_EVENTS = 64
const MAX_LENGTH = 16_384

/** Neighbouring events that differ in their bodies alone. */
export interface Run {
  /** Where the last of their frames ends. */
  readonly end: number
  /** What each body says, in order; undefined where one of them is no JSON. */
  readonly values: readonly unknown[] | undefined
}

/**
 * Reads the bodies of neighbouring events by one call of `JSON.parse`: for small objects the call itself costs as much as
 * a third of the parsing. A sender whose bodies are no JSON can garble by it only what it sent itself.
 *
 * `at` is a well formed Event frame of this length, whose body is text.
 * @returns undefined where the event stands alone
 */
export function readRun(text: string, at: number, length: number): Run | undefined {
  const flags = text.charCodeAt(at + 4)
  const first = eventBody(text, at)
  let end = at + length
  if (first === end || !continues(text, at, flags, end)) return undefined
  let bodies = `[${text.substring(first, end)}`
  let count = 1
  do {
    const next = end
    end += readLength(text, next)
    bodies += `,${text.substring(eventBody(text, next), end)}`
    count++
  } while (count < MAX_EVENTS && bodies.length < MAX_LENGTH && continues(text, at, flags, end))
  return { end, values: parse(`${bodies}]`, count) }
}

/** Whether another event with the same flags, target and name stands at `next`, and has a body. */
function continues(text: string, at: number, flags: number, next: number): boolean {
  if (next >= text.length || text.charCodeAt(next + 4) !== flags) return false
  const length = readLength(text, next)
  return isWellFormed(text, next, length) && sameEventHead(text, at, next) && eventBody(text, next) < next + length
}

function parse(list: string, count: number): readonly unknown[] | undefined {
  try {
    const values: unknown = JSON.parse(list)
    return Array.isArray(values) && values.length === count ? values : undefined
  } catch {
    return undefined
  }
}
