/** Slots at first, a power of two. */
const LEAST = 16

/**
 * 2^32 divided by the golden ratio. Calls have numbers one behind the other. Were those their slots, they would stand in
 * one row without a gap, and each call that ends would cost a look at all behind it.
 */
const SPREAD = 0x9e3779b1

/** The slot where it belongs, in a table of `mask + 1`. */
export function home(number: number, mask: number): number {
  return Math.imul(number, SPREAD) >>> Math.clz32(mask)
}

/**
 * What is under way, by its number: a hash table with linear probing. A `Map` would do the same, but each time that it
 * makes room V8 leaves its old table pointing at the new one. Once one such table has come into the old generation,
 * all later ones, and every call that they held, outlive their use until the next full collection: with thousands of
 * calls a second that was most of what the garbage collector did.
 */
export class NumberTable<T extends object> {
  /** Members choose their own: one that errs may send any that a frame has room for. */
  #numbers = new Uint32Array(LEAST)
  #items: (T | undefined)[] = new Array(LEAST).fill(undefined)
  #size = 0
  /** How many were taken out since the table was last an eighth full. */
  #idle = 0

  get size(): number {
    return this.#size
  }

  get(number: number): T | undefined {
    return this.#items[this.#find(number)]
  }

  has(number: number): boolean {
    return this.#items[this.#find(number)] !== undefined
  }

  set(number: number, item: T): void {
    let at = this.#find(number)
    if (this.#items[at] === undefined) {
      // At most half full: then a search looks at two slots or so.
      if (++this.#size * 2 > this.#items.length) {
        this.#resize(this.#items.length * 2)
        at = this.#find(number)
      }
      this.#numbers[at] = number
    }
    this.#items[at] = item
  }

  delete(number: number): boolean {
    const items = this.#items
    const numbers = this.#numbers
    const mask = items.length - 1
    let gap = this.#find(number)
    if (items[gap] === undefined) return false
    this.#size--
    // What stands behind it, and would no longer be found over the gap, moves up.
    for (let at = (gap + 1) & mask; items[at] !== undefined; at = (at + 1) & mask) {
      const distance = (at - home(numbers[at] as number, mask)) & mask
      if (distance < ((at - gap) & mask)) continue
      items[gap] = items[at]
      numbers[gap] = numbers[at] as number
      gap = at
    }
    items[gap] = undefined
    this.#shrink()
    return true
  }

  /** Those of now, by number: but for the rare times when numbers begin anew, in the order in which they came. */
  values(): T[] {
    const numbers = this.#numbers.filter((_, at) => this.#items[at] !== undefined).sort()
    return Array.from(numbers, (number) => this.get(number) as T)
  }

  /** Where it stands, or the free slot where it would. */
  #find(number: number): number {
    const mask = this.#items.length - 1
    let at = home(number, mask)
    while (this.#items[at] !== undefined && this.#numbers[at] !== number) at = (at + 1) & mask
    return at
  }

  /** Not as soon as it is nearly empty: calls come and go in batches. */
  #shrink(): void {
    const { length } = this.#items
    if (this.#size * 8 >= length || length === LEAST) {
      this.#idle = 0
    } else if (++this.#idle > length) {
      this.#idle = 0
      this.#resize(length / 2)
    }
  }

  #resize(length: number): void {
    const items = this.#items
    const numbers = this.#numbers
    this.#items = new Array(length).fill(undefined)
    this.#numbers = new Uint32Array(length)
    for (let i = 0; i < items.length; i++) {
      const item = items[i]
      if (item === undefined) continue
      const at = this.#find(numbers[i] as number)
      this.#items[at] = item
      this.#numbers[at] = numbers[i] as number
    }
  }
}
