/** The last messages, in memory and bounded. What must outlive the keeper belongs in a database. */
import type { Draft, Legacy, Message, Missed } from './contract.js'

/** What somebody sees who has just come. */
const FOR_NEWCOMERS = 50
/** What is kept for those who were away for a moment: messages to all, and those to one, each so many. */
const KEPT = 500
/** How many keys are remembered, to know a message that is sent again. */
const KEYS = 2000

export class History {
  // Starts with the clock, so that ids go on rising when this process is replaced.
  #last = Date.now()
  // The ids up to which messages are not here any more; those of an earlier keeper are below its first.
  #forgotten = { all: this.#last, direct: 0 }
  #kept = { all: [] as Message[], direct: [] as Message[] }
  #ids = new Map<string, number>()

  /** For another one, which is to go on where this one ends. */
  get legacy(): Omit<Legacy, 'online'> {
    return { last: this.#last, forgotten: this.#forgotten, kept: this.#kept, ids: this.#ids }
  }

  inherit({ last, forgotten, kept, ids }: Omit<Legacy, 'online'>): void {
    this.#last = Math.max(this.#last, last)
    this.#forgotten = forgotten
    this.#kept = kept
    this.#ids = ids
  }

  /** The message with its id, or only its id if it is here already. */
  add(draft: Draft): { id: number; message?: Message } {
    const known = JSON.stringify([draft.from, draft.key])
    const before = this.#ids.get(known)
    if (before !== undefined) return { id: before }

    const message: Message = { ...draft, id: ++this.#last, time: Date.now() }
    const kind = message.to === undefined ? 'all' : 'direct'
    const kept = this.#kept[kind]
    kept.push(message)
    if (kept.length > KEPT) this.#forgotten[kind] = kept.shift()?.id ?? 0

    this.#ids.set(known, message.id)
    const [oldest] = this.#ids.keys()
    if (this.#ids.size > KEYS && oldest !== undefined) this.#ids.delete(oldest)
    return { id: message.id, message }
  }

  /** What this user may see and has not: all after an id, or the last ones for somebody who has seen none. */
  missed(name: string, after: number): Missed {
    const { all, direct } = this.#kept
    const mine = direct.filter(({ from, to }) => from === name || to === name)
    const visible = [...all, ...mine].filter(({ id }) => id > after).sort((a, b) => a.id - b.id)
    const upTo = this.#last
    if (after === 0) return { messages: visible.slice(-FOR_NEWCOMERS), upTo, gap: false }
    return { messages: visible, upTo, gap: after < Math.max(this.#forgotten.all, this.#forgotten.direct) }
  }
}
