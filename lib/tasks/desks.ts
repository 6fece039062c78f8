import type { Directory } from '../relay/directory.js'
import type { Peer } from '../relay/peer.js'
import type { Call, Desk } from './call.js'
import { NumberTable } from './number-table.js'

/** Who has asked for what, and who works on it: every call, from its arrival until nobody is left to answer it. */
export class Desks {
  readonly #directory: Directory
  /**
   * By address. A caller that is gone keeps its desk while somebody works for it: only so can late answers be told from
   * forged ones.
   */
  readonly #desks = new Map<number, Desk>()

  constructor(directory: Directory) {
    this.#directory = directory
  }

  open(peer: Peer): void {
    this.#desks.set(peer.address, { peer, calls: new NumberTable(), serving: 0, handlers: new Map() })
  }

  of(peer: Peer): Desk {
    const desk = this.#desks.get(peer.address)
    if (!desk) throw new Error(`Member "${peer.place.id}" has no desk`)
    return desk
  }

  serving(peer: Peer): number {
    return this.#desks.get(peer.address)?.serving ?? 0
  }

  /** What a member works on: looked for among all calls, because it is asked for seldom, and counted for each call. */
  servedBy(server: Desk): Call[] {
    const served: Call[] = []
    for (const { calls } of this.#desks.values()) {
      for (const call of calls.values()) if (call.handler?.desk === server) served.push(call)
    }
    return served.sort((a, b) => a.order - b.order)
  }

  /** The call to which the caller at this address, gone or not, gave this number. */
  find(address: number, id: number): Call | undefined {
    return this.#desks.get(address)?.calls.get(id)
  }

  /** Nothing more will come of the call. */
  remove({ desk, id }: Call): void {
    desk.calls.delete(id)
    if (desk.peer.gone && desk.calls.size === 0) this.#clear(desk.peer)
  }

  /** The member is gone. Its address stays while somebody works on a call of it. */
  close(peer: Peer): void {
    if (this.#desks.get(peer.address)?.calls.size === 0) this.#clear(peer)
  }

  /** Members, gone or not, with calls that are not over. */
  get unsettled(): number {
    let unsettled = 0
    for (const { calls, serving } of this.#desks.values()) if (calls.size + serving > 0) unsettled++
    return unsettled
  }

  #clear(peer: Peer): void {
    if (this.#desks.delete(peer.address)) this.#directory.forget(peer)
  }
}
