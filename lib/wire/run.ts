import { decodeValue } from './codec.js'
import { bodyStart, isWellFormed, readLength } from './frame.js'

/** Beyond these a further body brings nothing: what is saved for each frame is the same few hundred nanoseconds. */
const MAX_FRAMES = 64
/** A long body is never part of a run: joining copies it. */
const MAX_LENGTH = 16_384

/** In place of a body's value: it has not been read yet. */
export const UNREAD = Symbol('unread')

/**
 * Reads the bodies of neighbouring Events, Requests or Responses by one call of `JSON.parse`: for small objects the call
 * itself costs as much as a third of the parsing. Where one of them is no JSON, none of its run is read; so nothing
 * else suffers from it. (A sender can garble by its bodies what it sent itself, and no more.)
 */
export class Run {
  /** Where the frames end that have been looked at. */
  #end = 0
  #values: readonly unknown[] = []
  #next = 0

  /**
   * The body's value, or `UNREAD`. To be called for each frame of those kinds, in turn. The frame is well formed, and has
   * nothing attached.
   */
  next(text: string, at: number, length: number): unknown {
    if (at >= this.#end) this.#look(text, at, length)
    return this.#next < this.#values.length ? this.#values[this.#next++] : UNREAD
  }

  #look(text: string, at: number, length: number): void {
    const flags = text.charCodeAt(at + 4)
    const first = bodyStart(text, at)
    this.#values = []
    this.#next = 0
    this.#end = at + length
    if (first === this.#end || !continues(text, this.#end, flags, MAX_LENGTH - (this.#end - first))) return
    let bodies = `[${text.substring(first, this.#end)}`
    let count = 1
    do {
      const next = this.#end
      this.#end += readLength(text, next)
      bodies += `,${text.substring(bodyStart(text, next), this.#end)}`
      count++
    } while (count < MAX_FRAMES && continues(text, this.#end, flags, MAX_LENGTH - bodies.length))
    this.#values = parse(`${bodies}]`, count)
  }
}

/** A body's value, where it has been read already, and where not. Throws as `decodeValue` does. */
export function readBody(
  read: unknown,
  text: string,
  start: number,
  end: number,
  bytes: Uint8Array | undefined,
): unknown {
  return read === UNREAD ? decodeValue(text.substring(start, end), bytes) : read
}

/** Whether another frame of that kind, with the same flags, begins there, and has a body, of at most `room` units. */
function continues(text: string, at: number, flags: number, room: number): boolean {
  if (text.charCodeAt(at + 4) !== flags) return false
  const length = readLength(text, at)
  if (!isWellFormed(text, at, length)) return false
  const body = at + length - bodyStart(text, at)
  return body > 0 && body <= room
}

/** None, unless they are as many as they should be. */
function parse(list: string, count: number): readonly unknown[] {
  try {
    const values: unknown = JSON.parse(list)
    return Array.isArray(values) && values.length === count ? values : []
  } catch {
    return []
  }
}
