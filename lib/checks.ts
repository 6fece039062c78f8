import { inspect } from 'node:util'
import { invalid } from './errors.js'

/**
 * Refuses what is not an object of options, and unknown options by name.
 * @param where How the message calls it, such as `startHub()`; what the other checks are given names one option.
 * @throws {HubError} `ERR_INVALID_ARG_VALUE`
 */
export function checkOptions(given: unknown, known: readonly string[], where: string): Record<string, unknown> {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalid(`${where}: give an object of options, not ${show(given)}.`)
  }
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue
    const near = nearest(name, known)
    const hint = near === undefined ? `Known are ${known.join(', ')}.` : `Did you mean ${JSON.stringify(near)}?`
    throw invalid(`${where}: unknown option ${JSON.stringify(name)}. ${hint}`)
  }
  return given as Record<string, unknown>
}

/** A number of milliseconds or of anything else that has a least value. `Infinity` is allowed: it means never. */
export function checkNumber(value: unknown, least: number, where: string): number {
  if (typeof value !== 'number' || Number.isNaN(value) || value < least) {
    throw invalid(`${where} must be a number of at least ${least}, not ${show(value)}.`)
  }
  return value
}

/** As `checkNumber`, for durations that must not be zero. */
export function checkDuration(value: unknown, where: string): number {
  if (typeof value !== 'number' || !(value > 0)) {
    throw invalid(`${where} must be a number of milliseconds above 0, not ${show(value)}.`)
  }
  return value
}

/** One of a few words. */
export function checkWord<T extends string>(value: unknown, words: readonly T[], where: string): T {
  const found = words.find((word) => word === value)
  if (found === undefined) {
    throw invalid(`${where} must be ${words.map((word) => JSON.stringify(word)).join(' or ')}, not ${show(value)}.`)
  }
  return found
}

/** A list of strings, copied. */
export function checkStrings(value: unknown, where: string): readonly string[] {
  if (!Array.isArray(value)) throw invalid(`${where} must be an array of strings, not ${show(value)}.`)
  return value.map((entry: unknown, index) => {
    if (typeof entry !== 'string') throw invalid(`${where}[${index}] must be a string, not ${show(entry)}.`)
    return entry
  })
}

/** Longer strings are cut in messages. */
const MAX_SHOWN = 60
const MAX_SHOWN_OBJECT = 100

/** A value as an error message shows it: on one line, and short. */
export function show(value: unknown): string {
  if (typeof value === 'string') {
    return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value)
  }
  const text = inspect(value, {
    depth: 1,
    breakLength: Infinity,
    compact: true,
    maxArrayLength: 5,
    maxStringLength: MAX_SHOWN,
  })
  return text.length > MAX_SHOWN_OBJECT ? `${text.slice(0, MAX_SHOWN_OBJECT)}…` : text
}

function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  // A third of the word may be wrong, and two letters always: enough for typing errors, not for mere chance.
  let least = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance < least) {
      best = candidate
      least = distance
    }
  }
  return best
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
