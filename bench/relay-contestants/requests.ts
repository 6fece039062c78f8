/** Requests for those who know none: two messages, and a number that tells which answer is whose. */
import type { Item } from '../workloads.js'

export type Publish = (channel: string, text: string) => unknown

/** A text message: the number of the call, where the answer goes, and what is asked. */
export class Calls {
  readonly inbox = `answers-${process.pid}`
  readonly #publish: Publish
  readonly #calls = new Map<number, (answer: unknown) => void>()
  #last = 0

  constructor(publish: Publish) {
    this.#publish = publish
  }

  request(to: string, item: Item): Promise<unknown> {
    const call = ++this.#last
    return new Promise((resolve) => {
      this.#calls.set(call, resolve)
      this.#publish(to, `${call} ${this.inbox} ${JSON.stringify(item)}`)
    })
  }

  /** In the one that serves. */
  onRequest(text: string): void {
    const [call, inbox] = text.split(' ', 2) as [string, string]
    const input = JSON.parse(text.slice(call.length + inbox.length + 2))
    this.#publish(inbox, `${call} ${JSON.stringify(input)}`)
  }

  /** In the one that asked: what came to its inbox. */
  onAnswer(text: string): void {
    const end = text.indexOf(' ')
    const call = Number(text.slice(0, end))
    const resolve = this.#calls.get(call)
    this.#calls.delete(call)
    resolve?.(JSON.parse(text.slice(end + 1)))
  }
}
