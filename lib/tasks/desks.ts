import type { Directory, Entry } from '../relay/directory.js'
import { Peer } from '../relay/peer.js'
import type { Call, Handler } from './call.js'

/** What the hub knows of one incarnation's tasks. */
export interface Desk {
  /** Its own calls, by the number that it gave them. */
  readonly calls: Map<number, Call>
  /** What it works on. */
  readonly serving: Set<Call>
  readonly handlers: Map<string, Handler>
}

/** Who has asked for what, and who works on it: every call, from its arrival until nobody is left to answer it. */
export class Desks {
  readonly #directory: Directory
  readonly #desks = new Map<Peer, Desk>()
  /** Callers that are gone, while somebody works for them: only so can late answers be told from forged ones. */
  readonly #ghosts = new Map<Peer, Desk>()

  constructor(directory: Directory) {
    this.#directory = directory
  }

  open(peer: Peer): void {
    this.#desks.set(peer, { calls: new Map(), serving: new Set(), handlers: new Map() })
  }

  of(peer: Peer): Desk {
    const desk = this.#desks.get(peer)
    if (!desk) throw new Error(`Member "${peer.place.id}" has no desk`)
    return desk
  }

  serving(peer: Peer): number {
    return this.#desks.get(peer)?.serving.size ?? 0
  }

  /** The call that a caller, gone or not, gave this number. */
  find(caller: Entry | undefined, id: number): Call | undefined {
    if (!(caller instanceof Peer)) return undefined
    return (this.#desks.get(caller) ?? this.#ghosts.get(caller))?.calls.get(id)
  }

  /** Nothing more will come of the call. */
  remove(call: Call): void {
    const { caller } = call
    const desk = this.#desks.get(caller) ?? this.#ghosts.get(caller)
    if (!desk) return
    desk.calls.delete(call.id)
    if (caller.gone && desk.calls.size === 0 && this.#ghosts.delete(caller)) this.#directory.forget(caller)
  }

  /** The member is gone. Its address stays while somebody works on a call of it. */
  close(peer: Peer): void {
    const desk = this.of(peer)
    this.#desks.delete(peer)
    if (desk.calls.size === 0) this.#directory.forget(peer)
    else this.#ghosts.set(peer, desk)
  }

  /** Members and ghosts with calls that are not over. */
  get unsettled(): number {
    let unsettled = this.#ghosts.size
    for (const { calls, serving } of this.#desks.values()) if (calls.size + serving.size > 0) unsettled++
    return unsettled
  }
}
