import type { Peer } from './peer.js'

/** Who has been told to slow down towards a seat, and who waits for its queue to drain. */
export class Pressure {
  readonly #pressed = new Set<Peer>()
  readonly #tell: (producer: Peer, on: boolean) => void
  readonly #isOver: () => boolean
  #waiting: (() => void)[] = []

  constructor(isOver: () => boolean, tell: (producer: Peer, on: boolean) => void) {
    this.#isOver = isOver
    this.#tell = tell
  }

  press(producer: Peer): void {
    if (producer.gone || this.#pressed.has(producer)) return
    this.#pressed.add(producer)
    this.#tell(producer, true)
  }

  /** The queue is under its mark, or no longer holds anybody back. */
  relieve(): void {
    for (const producer of this.#pressed) this.#tell(producer, false)
    this.#pressed.clear()
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }

  /** Resolves when the queue is under its mark. */
  async under(): Promise<void> {
    while (this.#isOver()) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** A producer that is gone need not be told any more. */
  forget(producer: Peer): void {
    this.#pressed.delete(producer)
  }
}
