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
  /** Of those that have been encoded, with commas between them. */
  #text = ''
  /** Those after them. */
  #values: unknown[] = []
  #count = 0

  constructor(link: Link) {
    this.#link = link
  }

  /** `heads`: one for each address. `value`: the body, as a copy, and about how many characters of JSON it has. */
  add(flags: number, heads: readonly string[], value: unknown, length: number): void {
    this.#begin(flags, heads)
    this.#values.push(value)
    this.#link.defer(this, length)
  }

  /** The same with a body that is JSON already. */
  addText(flags: number, heads: readonly string[], text: string): void {
    this.#begin(flags, heads)
    this.#encode()
    this.#text += this.#count === 1 ? text : `,${text}`
    this.#link.defer(this, text.length)
  }

  #begin(flags: number, heads: readonly string[]): void {
    if (this.#count === MAX_MANY || heads !== this.#heads || flags !== this.#flags) this.write()
    this.#flags = flags
    this.#heads = heads
    this.#count++
  }

  #encode(): void {
    if (this.#values.length === 0) return
    const list = JSON.stringify(this.#values).slice(1, -1)
    this.#text = this.#text === '' ? list : `${this.#text},${list}`
    this.#values = []
  }

  write(): void {
    const count = this.#count
    if (count === 0) return
    this.#encode()
    const body = count === 1 ? this.#text : `[${this.#text}]`
    // What is written has what was deferred written first, which is nothing any more.
    this.#text = ''
    this.#count = 0
    const header = count === 1 ? eventHeader : manyHeader
    for (const head of this.#heads) this.#link.write(header(this.#flags, head, body.length, count), body)
  }
}
