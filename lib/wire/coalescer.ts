import { eventHeader, MAX_MANY, manyHeader } from './frame.js'
import type { Deferred, Link } from './link.js'

/** Longer ones gain nothing: what is saved for each is the same few hundred nanoseconds. */
export const MAX_COALESCED = 2048

/**
 * Has neighbouring events of one name and target leave in one frame: `JSON.stringify` and `JSON.parse` are called once
 * for all of them, and the hub passes on one frame. It must be given copies: what is sent is what was given to `emit`,
 * whatever becomes of it later in the turn.
 */
export class Coalescer implements Deferred {
  readonly #link: Link
  #flags = 0
  #heads: readonly string[] = []
  /** Of those that have been encoded. Joined at once, because a rope of them would have to be flattened. */
  #texts: string[] = []
  /** Those after them. */
  #values: unknown[] = []
  #count = 0

  constructor(link: Link) {
    this.#link = link
  }

  /**
   * `heads`: one for each address; those of one name and target are one list. `value`: the body, as a copy, and about
   * how many characters of JSON it has.
   */
  add(flags: number, heads: readonly string[], value: unknown, length: number): void {
    this.#begin(flags, heads)
    this.#values.push(value)
    this.#count++
    this.#link.defer(this, length * heads.length)
  }

  /** The same with a body that is JSON already. */
  addText(flags: number, heads: readonly string[], text: string): void {
    this.#begin(flags, heads)
    this.#encode()
    this.#texts.push(text)
    this.#count++
    this.#link.defer(this, text.length * heads.length)
  }

  write(): void {
    const count = this.#count
    if (count === 0) return
    this.#encode()
    const flags = this.#flags
    const body = count === 1 ? (this.#texts[0] as string) : `[${this.#texts.join()}]`
    // The link has what was deferred written before anything else: that is nothing any more.
    this.#texts = []
    this.#count = 0
    for (const head of this.#heads) {
      const { length } = body
      this.#link.write(count === 1 ? eventHeader(flags, head, length) : manyHeader(flags, head, length, count), body)
    }
  }

  #begin(flags: number, heads: readonly string[]): void {
    if (this.#count === MAX_MANY || heads !== this.#heads || flags !== this.#flags) this.write()
    this.#flags = flags
    this.#heads = heads
  }

  #encode(): void {
    if (this.#values.length === 0) return
    this.#texts.push(jsonOf(this.#values))
    this.#values = []
  }
}

/** A list without its brackets. */
function jsonOf(values: readonly unknown[]): string {
  // Somebody has given all arrays a JSON of their own.
  if ('toJSON' in values) return values.map((value) => JSON.stringify(value)).join()
  return JSON.stringify(values).slice(1, -1)
}
