import { after } from '../timers.js'

/** How long a member may take to tell that it is alive, in milliseconds: one whose event loop is stuck says nothing. */
const PATIENCE = 2000

interface Asked {
  readonly onAnswer: () => void
  readonly timer: NodeJS.Timeout | undefined
}

/**
 * Clients that are back while the member which had their sockets is not known to have lost them: it may have been killed
 * a moment ago, or its word may be on its way. It is asked for a sign of life. What it has to say of them comes before
 * that, and when none comes its end does.
 */
export class Returns<Member> {
  readonly #asked = new Map<Member, Map<number, Asked>>()
  readonly #ask: (holder: Member, n: number) => void
  #last = 0

  constructor(ask: (holder: Member, n: number) => void) {
    this.#ask = ask
  }

  /** Calls back when each of the holders has answered, is gone, or has been silent for too long. */
  wait(holders: Iterable<Member>, onAll: () => void): void {
    let missing = 0
    const onAnswer = () => {
      if (--missing === 0) onAll()
    }
    for (const holder of holders) {
      missing++
      const n = ++this.#last
      const asked = this.#asked.get(holder) ?? new Map<number, Asked>()
      this.#asked.set(holder, asked)
      asked.set(n, { onAnswer, timer: after(PATIENCE, () => this.answered(holder, n))?.unref() })
      this.#ask(holder, n)
    }
  }

  answered(holder: Member, n: number): void {
    const asked = this.#asked.get(holder)
    const question = asked?.get(n)
    if (!question) return
    clearTimeout(question.timer)
    asked?.delete(n)
    if (asked?.size === 0) this.#asked.delete(holder)
    question.onAnswer()
  }

  /** To be called when it is known of the holder's clients that they are away. */
  gone(holder: Member): void {
    for (const n of this.#asked.get(holder)?.keys() ?? []) this.answered(holder, n)
  }

  close(): void {
    for (const asked of this.#asked.values()) for (const { timer } of asked.values()) clearTimeout(timer)
    this.#asked.clear()
  }
}
