/** Tells once that a queue is at its bound, and again only when it has been half empty meanwhile. */
export class Alarm {
  readonly #ring: () => void
  #rung = false

  constructor(ring: () => void) {
    this.#ring = ring
  }

  /** Something was dropped or refused. */
  raise(): void {
    if (this.#rung) return
    this.#rung = true
    this.#ring()
  }

  /** To be called when the queue has become shorter. */
  settle(used: number, bound: number): void {
    if (this.#rung && used <= bound / 2) this.#rung = false
  }
}
