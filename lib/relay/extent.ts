import { NOBODY, type Position } from '../wire/position.js'

/**
 * How far some packets reach in the order of things. It is less than the packets, and enough to say of a client that it
 * has got all of them; where it says no, the client may have got them all the same.
 */
export class Extent {
  /** Of the last one. */
  #origin = NOBODY
  #hub: number
  #local = Number.POSITIVE_INFINITY
  /** The hub's sequence of the last one of any other member than the sender of the last one. */
  #ofOthers: number

  /** `hub`: all packets up to that place in the order of the hub. */
  constructor(hub = 0) {
    this.#hub = hub
    this.#ofOthers = hub
  }

  /** The hub's sequence of the last one. */
  get hub(): number {
    return this.#hub
  }

  /** One that is behind all others. */
  add({ origin, hub, local }: Position): void {
    if (this.#origin !== origin) this.#ofOthers = this.#hub
    this.#origin = origin
    this.#hub = hub
    this.#local = local
  }

  merge(other: Extent): void {
    const [last, first] = other.#hub > this.#hub ? [other, this] : [this, other]
    this.#ofOthers = Math.max(last.#ofOthers, first.#origin === last.#origin ? first.#ofOthers : first.#hub)
    this.#origin = last.#origin
    this.#local = last.#local
    this.#hub = last.#hub
  }

  copy(): Extent {
    const copy = new Extent()
    copy.merge(this)
    return copy
  }

  /** Whether each of them stands before one of those positions, or at it. */
  isBehind(...positions: readonly Position[]): boolean {
    const hub = positions.reduce((most, position) => Math.max(most, position.hub), 0)
    if (this.#hub <= hub) return true
    if (this.#ofOthers > hub) return false
    return positions.some(({ origin, local }) => origin === this.#origin && local >= this.#local)
  }
}
