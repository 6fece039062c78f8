import { HubError } from '../errors.js'
import type { Peer } from './peer.js'

/** What one member has asked, and who has still to answer. */
class Asker {
  readonly open = new Map<number, Set<Peer>>()
  /** There were too many: of those that were forgotten late answers cannot be told from forged ones. */
  hasForgotten = false
}

/**
 * Questions of Socket.IO that are under way. Only whoever was asked may answer, and nobody after its last answer. A
 * question is known until all have answered or are gone, although its member may have given it up long before: so late
 * answers are told from forged ones.
 */
export class Questions {
  readonly #askers = new Map<Peer, Asker>()
  readonly #max: number

  /** `max`: so many of one member are known; beyond, the oldest are forgotten, and their answers dropped. */
  constructor(max: number) {
    this.#max = max
  }

  /** Returns false where the member's question with that number is still under way. */
  ask(from: Peer, call: number, to: readonly Peer[]): boolean {
    let asker = this.#askers.get(from)
    if (asker?.open.has(call)) {
      from.offend(
        () => new HubError('ERR_HUB_PROTOCOL', 'It gave the number of a question that is under way to another one.'),
      )
      return false
    }
    if (to.length === 0) return true
    if (!asker) {
      asker = new Asker()
      this.#askers.set(from, asker)
    }
    if (asker.open.size >= this.#max) {
      asker.open.delete(asker.open.keys().next().value as number)
      asker.hasForgotten = true
    }
    asker.open.set(call, new Set(to))
    return true
  }

  /** Whether an answer is to be heard. `done`: it is its sender's last. */
  answer(from: Peer, asker: Peer, call: number, done: boolean): boolean {
    const asked = this.#askers.get(asker)
    const waiting = asked?.open.get(call)
    if (!waiting?.has(from)) {
      // Who has left, or asked and left, was struck out.
      if (!from.left && !asker.left && !asker.gone && (waiting || !asked?.hasForgotten))
        from.offend(() => notAsked(asker))
      return false
    }
    if (done) this.#strike(from, asked as Asker, call, waiting)
    return true
  }

  /** The member is gone: it answers nothing, and hears no answers. */
  leave(peer: Peer): void {
    this.#askers.delete(peer)
    for (const asker of this.#askers.values()) {
      for (const [call, waiting] of asker.open) this.#strike(peer, asker, call, waiting)
    }
  }

  /** How many are under way. */
  get open(): number {
    return [...this.#askers.values()].reduce((sum, { open }) => sum + open.size, 0)
  }

  #strike(peer: Peer, { open }: Asker, call: number, waiting: Set<Peer>): void {
    if (waiting.delete(peer) && waiting.size === 0) open.delete(call)
  }
}

function notAsked(asker: Peer): HubError {
  const whose = `a question of ${JSON.stringify(asker.place.id)}`
  return new HubError('ERR_HUB_PROTOCOL', `It answered ${whose} that it was not asked. The answer was dropped.`)
}
