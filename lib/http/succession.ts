/**
 * Who took over from whom, by address. A session that was handed over keeps its id, which is named after the incarnation
 * that opened it, for as long as it lives.
 */
export class Succession {
  readonly #successors: Map<number, number>

  constructor(pairs: readonly (readonly [number, number])[] = []) {
    this.#successors = new Map(pairs)
  }

  get pairs(): [from: number, to: number][] {
    return [...this.#successors]
  }

  add(from: number, to: number): void {
    this.#successors.set(from, to)
  }

  /** That incarnation is gone, and with it whatever it had not handed over. */
  forget(address: number): void {
    const next = this.#successors.get(address)
    for (const [from, to] of this.#successors) {
      if (to !== address) continue
      if (next === undefined) this.#successors.delete(from)
      else this.#successors.set(from, next)
    }
  }

  /** Where the sessions of an incarnation are now. `has` tells whether one still serves its own. */
  resolve(address: number, has: (address: number) => boolean): number {
    let owner = address
    while (!has(owner)) {
      const next = this.#successors.get(owner)
      if (next === undefined) break
      owner = next
    }
    return owner
  }
}
