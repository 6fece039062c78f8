import type { Audience, Call } from './call.js'

/** Withdrawn calls that may lie about before they are swept out. */
const MAX_LITTER = 64

/** Calls in order of arrival. Those that were withdrawn stay until they come up, or until they are the larger part. */
class Fifo {
  #calls: Call[] = []
  #head = 0
  /** Calls that wait. */
  length = 0

  push(call: Call): void {
    this.length++
    const last = this.#calls.at(-1)
    if (this.#head === this.#calls.length || (last && last.order < call.order)) {
      this.#calls.push(call)
      return
    }
    // One that was at work already, and has to be done again: it is older than nearly all that wait.
    let at = this.#head
    while ((this.#calls[at] as Call).order < call.order) at++
    this.#calls.splice(at, 0, call)
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
    this.length--
    this.#head++
    this.#sweep()
  }

  /** To be called when a call is no longer `queued`. */
  withdrawn(): void {
    this.length--
    this.#sweep()
  }

  /** The array is made anew once less than half of it waits: constant work for each call, and a bounded array. */
  #sweep(): void {
    if (this.#calls.length <= this.length * 2 + MAX_LITTER) return
    this.#calls = this.#calls.slice(this.#head).filter((call) => call.queued)
    this.#head = 0
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
      if (call && (!oldest || call.order < oldest.order)) {
        oldest = call
        from = fifo
      }
    }
    if (!oldest) return undefined
    oldest.queued = false
    from?.shift()
    this.#taken(oldest)
    return oldest
  }

  count(audience: Audience): number {
    return this.#byAudience.get(audience)?.length ?? 0
  }

  withdraw(call: Call): void {
    call.queued = false
    this.#byAudience.get(call.audience)?.withdrawn()
    this.#taken(call)
  }

  #taken({ audience }: Call): void {
    this.length--
    if (this.#byAudience.get(audience)?.length === 0) this.#byAudience.delete(audience)
  }
}
