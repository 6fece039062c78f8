import type { Audience, Call } from './call.js'

/** Calls in order of arrival. Those that were withdrawn stay until they come up. */
class Fifo {
  #calls: Call[] = []
  #head = 0

  get length(): number {
    let length = 0
    for (let i = this.#head; i < this.#calls.length; i++) if (this.#calls[i]?.queued) length++
    return length
  }

  push(call: Call): void {
    this.#calls.push(call)
  }

  peek(): Call | undefined {
    while (this.#head < this.#calls.length) {
      const call = this.#calls[this.#head] as Call
      if (call.queued) return call
      this.#head++
    }
    this.#calls = []
    this.#head = 0
    return undefined
  }

  shift(): void {
    this.#head++
    // The front of the array is given back once it is the larger half: constant work for each call.
    if (this.#head > 64 && this.#head * 2 > this.#calls.length) {
      this.#calls = this.#calls.slice(this.#head)
      this.#head = 0
    }
  }
}

/** The calls of one task that wait for a handler with room, by audience. */
export class TaskQueue {
  readonly #byAudience = new Map<Audience, Fifo>()
  length = 0

  get audiences(): Audience[] {
    return [...this.#byAudience.keys()]
  }

  push(call: Call): void {
    let fifo = this.#byAudience.get(call.audience)
    if (!fifo) {
      fifo = new Fifo()
      this.#byAudience.set(call.audience, fifo)
    }
    call.queued = true
    fifo.push(call)
    this.length++
  }

  /** Takes out the oldest call for any of these audiences. */
  take(audiences: readonly Audience[]): Call | undefined {
    let oldest: Call | undefined
    let from: Fifo | undefined
    for (const audience of audiences) {
      const fifo = this.#byAudience.get(audience)
      const call = fifo?.peek()
      if (!call) {
        this.#byAudience.delete(audience)
      } else if (!oldest || call.order < oldest.order) {
        oldest = call
        from = fifo
      }
    }
    if (!oldest) return undefined
    from?.shift()
    oldest.queued = false
    this.length--
    return oldest
  }

  count(audience: Audience): number {
    return this.#byAudience.get(audience)?.length ?? 0
  }

  withdraw(call: Call): void {
    call.queued = false
    this.length--
  }
}
