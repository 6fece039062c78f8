/** Put aside this many places at the front before the rest is moved up. */
const SLACK = 16

/** A queue whose front goes first: `Array.prototype.shift` moves all that is left, each time. */
export class Fifo<T> {
  #items: (T | undefined)[] = []
  #start = 0

  get size(): number {
    return this.#items.length - this.#start
  }

  get first(): T | undefined {
    return this.#items[this.#start]
  }

  push(item: T): void {
    this.#items.push(item)
  }

  shift(): T | undefined {
    const item = this.#items[this.#start]
    if (item === undefined) return undefined
    this.#items[this.#start++] = undefined
    if (this.#start >= SLACK && this.#start * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#start)
      this.#start = 0
    }
    return item
  }

  /** From the first one on that `isAfter` is true of; it must be true of all behind that one. */
  *from(isAfter: (item: T) => boolean): Generator<T> {
    let low = this.#start
    let high = this.#items.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isAfter(this.#items[middle] as T)) high = middle
      else low = middle + 1
    }
    for (let i = low; i < this.#items.length; i++) yield this.#items[i] as T
  }
}
