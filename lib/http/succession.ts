/**
 * So many are known: each is told to all members. What is older matters to sessions alone that poll, were opened there,
 * and have lasted ever since; to their requests nobody knows them any more, and they are opened anew.
 */
const MAX = 1000

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
    for (const oldest of this.#successors.keys()) {
      if (this.#successors.size <= MAX) break
      this.#successors.delete(oldest)
    }
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

  /**
   * Where the sessions of an incarnation are, or come to: with the last of those that took over who serves. Undefined
   * where nobody does.
   */
  last(address: number, serves: (address: number) => boolean): number | undefined {
    return this.#chain(address).filter(serves).at(-1)
  }

  /** Where those are that have not been handed on yet. */
  first(address: number, serves: (address: number) => boolean): number | undefined {
    return this.#chain(address).find(serves)
  }

  #chain(address: number): number[] {
    const chain: number[] = []
    for (let next: number | undefined = address; next !== undefined; next = this.#successors.get(next)) chain.push(next)
    return chain
  }
}
