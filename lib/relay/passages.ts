/** A session on its way from one member to another, by the first one's number for it. */
export interface Passage<Member> {
  readonly to: Member
  readonly n: number
  /** Its sockets, by namespace and the client's secret name; only those that can be recovered. */
  readonly sockets: readonly { readonly nsp: string; readonly pid: string }[]
  /** Whether its connection has come, if it has one of its own. */
  hasHandle: boolean
  /** Whether the first has passed on all that it was sent for it. */
  released: boolean
}

/**
 * Sessions that change hands. Until the first member has given the connection, and all that had been sent to it for the
 * session, they would be lost with it, or packets of theirs would: the hub knows which, as all of that comes through it.
 */
export class Passages<Member> {
  readonly #leaving = new Map<Member, Map<number, Passage<Member>>>()
  /** Connections that have come before the word of their session: handles do not wait for a batch to fill. */
  readonly #early = new Map<Member, Set<number>>()

  /** `polls`: it has no connection of its own. */
  begin(
    from: Member,
    { to, n, sockets, polls }: Pick<Passage<Member>, 'to' | 'n' | 'sockets'> & { polls: boolean },
  ): void {
    let passages = this.#leaving.get(from)
    if (!passages) {
      passages = new Map()
      this.#leaving.set(from, passages)
    }
    const hasHandle = polls || this.#early.get(from)?.delete(n) === true
    passages.set(n, { to, n, sockets, hasHandle, released: false })
  }

  /** Its connection has come. */
  handed(from: Member, n: number): void {
    const passage = this.#leaving.get(from)?.get(n)
    if (passage) {
      passage.hasHandle = true
      this.#settle(from, passage)
      return
    }
    const early = this.#early.get(from)
    if (early) early.add(n)
    else this.#early.set(from, new Set([n]))
  }

  /** The first has passed on all. */
  released(from: Member, n: number): void {
    const passage = this.#leaving.get(from)?.get(n)
    if (!passage) return
    passage.released = true
    this.#settle(from, passage)
  }

  /** Who has not given the session to an end. */
  giver(nsp: string, pid: string): Member | undefined {
    for (const [from, passages] of this.#leaving) {
      for (const { sockets } of passages.values()) {
        if (sockets.some((socket) => socket.nsp === nsp && socket.pid === pid)) return from
      }
    }
    return undefined
  }

  /** A member is no more. Returns what it has not given to an end, to members that are still there. */
  leave(member: Member): Passage<Member>[] {
    const left = [...(this.#leaving.get(member)?.values() ?? [])]
    this.#leaving.delete(member)
    this.#early.delete(member)
    for (const passages of this.#leaving.values()) {
      for (const { to, n } of passages.values()) if (to === member) passages.delete(n)
    }
    return left
  }

  #settle(from: Member, { n, hasHandle, released }: Passage<Member>): void {
    if (hasHandle && released) this.#leaving.get(from)?.delete(n)
  }
}
