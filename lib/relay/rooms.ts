import { HubError } from '../errors.js'
import { DONE, hasFlag, readCall } from '../wire/frame.js'
import { packetNamespace, packetRooms, readScope, Scope } from '../wire/packet.js'
import { NOWHERE, type Peer } from './peer.js'
import { Questions } from './questions.js'

/** Members, each counted as often as it was added, and the routes to them. */
class Group {
  readonly counts = new Map<Peer, number>()
  /** The routes by sender, who is not among the receivers. The same array each time: runs are told by identity. */
  readonly #routes = new Map<Peer | undefined, readonly Peer[]>()

  add(peer: Peer): void {
    const count = this.counts.get(peer)
    this.counts.set(peer, (count ?? 0) + 1)
    if (count === undefined) this.#routes.clear()
  }

  remove(peer: Peer, all = false): void {
    const count = this.counts.get(peer)
    if (count === undefined) return
    if (count > 1 && !all) {
      this.counts.set(peer, count - 1)
    } else {
      this.counts.delete(peer)
      this.#routes.clear()
    }
  }

  without(sender: Peer): readonly Peer[] {
    // All senders that are no members share one route.
    const key = this.counts.has(sender) ? sender : undefined
    let route = this.#routes.get(key)
    if (!route) {
      const others = [...this.counts.keys()].filter((peer) => peer !== sender)
      route = routeTo(others)
      this.#routes.set(key, route)
    }
    return route
  }
}

/** A Socket.IO namespace as the hub sees it. */
class Namespace {
  /** Who has it. */
  readonly servers = new Group()
  /** Who has sockets in it. */
  readonly holders = new Group()
  /** Most rooms are those of one socket: the peer alone, added once, stands for a group of it. */
  readonly rooms = new Map<string, Peer | Group>()

  join(peer: Peer, room: string): void {
    const known = this.rooms.get(room)
    if (known === undefined) {
      this.rooms.set(room, peer)
    } else if (known instanceof Group) {
      known.add(peer)
    } else {
      const group = new Group()
      group.add(known)
      group.add(peer)
      this.rooms.set(room, group)
    }
  }

  leave(peer: Peer, room: string, all = false): void {
    const known = this.rooms.get(room)
    if (known === peer) {
      this.rooms.delete(room)
    } else if (known instanceof Group) {
      known.remove(peer, all)
      if (known.counts.size === 0) this.rooms.delete(room)
    }
  }

  clear(peer: Peer): void {
    this.servers.remove(peer, true)
    this.holders.remove(peer, true)
    for (const room of this.rooms.keys()) this.leave(peer, room, true)
  }

  route(from: Peer, rooms: readonly string[]): readonly Peer[] {
    if (rooms.length === 1) return this.#routeToRoom(from, rooms[0] as string)
    const peers = new Set<Peer>()
    for (const room of rooms) {
      const known = this.rooms.get(room)
      if (known instanceof Group) for (const peer of known.counts.keys()) peers.add(peer)
      else if (known) peers.add(known)
    }
    peers.delete(from)
    return routeTo([...peers])
  }

  #routeToRoom(from: Peer, room: string): readonly Peer[] {
    const known = this.rooms.get(room)
    if (known instanceof Group) return known.without(from)
    return known === undefined || known === from ? NOWHERE : known.only
  }
}

function routeTo(peers: readonly Peer[]): readonly Peer[] {
  return peers.length === 0 ? NOWHERE : peers.length === 1 ? (peers[0] as Peer).only : peers
}

/**
 * Which members have which Socket.IO namespaces, and hold sockets in which of their rooms: what is sent to a room goes
 * nowhere else. Members tell the first join and the last leave of a room, in order with all else that they send.
 */
export class Rooms {
  readonly #namespaces = new Map<string, Namespace>()
  readonly questions: Questions
  readonly #onAsked: (from: Peer, call: number, to: readonly Peer[]) => void

  constructor(
    onAsked: (from: Peer, call: number, to: readonly Peer[]) => void,
    maxQuestions = Number.POSITIVE_INFINITY,
  ) {
    this.#onAsked = onAsked
    this.questions = new Questions(maxQuestions)
  }

  attach(peer: Peer, nsp: string): void {
    let namespace = this.#namespaces.get(nsp)
    if (!namespace) {
      namespace = new Namespace()
      this.#namespaces.set(nsp, namespace)
    }
    namespace.servers.add(peer)
  }

  detach(peer: Peer, nsp: string): void {
    const namespace = this.#namespaces.get(nsp)
    if (!namespace) return
    namespace.clear(peer)
    if (namespace.servers.counts.size === 0) this.#namespaces.delete(nsp)
  }

  /** The member is gone. Returns the namespaces that it had. */
  clear(peer: Peer): string[] {
    const had = [...this.#namespaces].filter(([, namespace]) => namespace.servers.counts.has(peer)).map(([nsp]) => nsp)
    for (const nsp of had) this.detach(peer, nsp)
    this.questions.leave(peer)
    return had
  }

  /** Whether any member has a Socket.IO server. */
  get used(): boolean {
    return this.#namespaces.size > 0
  }

  /** The members that have a namespace. */
  servers(nsp: string): readonly Peer[] {
    return [...(this.#namespaces.get(nsp)?.servers.counts.keys() ?? [])]
  }

  /** The member has one socket more or less in the namespace. */
  hold(peer: Peer, nsp: string, on: boolean): void {
    const holders = this.#of(peer, nsp)?.holders
    if (on) holders?.add(peer)
    else holders?.remove(peer)
  }

  join(peer: Peer, nsp: string, rooms: readonly string[]): void {
    const namespace = this.#of(peer, nsp)
    if (namespace) for (const room of rooms) namespace.join(peer, room)
  }

  leave(peer: Peer, nsp: string, rooms: readonly string[]): void {
    const namespace = this.#of(peer, nsp)
    if (namespace) for (const room of rooms) namespace.leave(peer, room)
  }

  /** Sockets in `to`, or all if it is null, are about to join rooms: returns their holders, who hold these from now. */
  admit(from: Peer, nsp: string, to: readonly string[] | null, rooms: readonly string[]): readonly Peer[] {
    const namespace = this.#namespaces.get(nsp)
    if (!namespace) return NOWHERE
    const route = to === null ? namespace.holders.without(from) : namespace.route(from, to)
    for (const peer of route) for (const room of rooms) namespace.join(peer, room)
    return route
  }

  route(from: Peer, text: string, at: number): readonly Peer[] {
    const namespace = this.#namespaces.get(packetNamespace(text, at))
    if (!namespace) return NOWHERE
    switch (readScope(text, at)) {
      case Scope.Rooms:
        return namespace.route(from, packetRooms(text, at))
      case Scope.Sockets:
        return namespace.holders.without(from)
      case Scope.Servers:
        return namespace.servers.without(from)
      case Scope.Nobody:
        return NOWHERE
      default:
        from.offend(() => new HubError('ERR_HUB_PROTOCOL', 'A packet of Socket.IO does not say whom it is for.'))
        return NOWHERE
    }
  }

  /** As `route`; the sender is told who will answer, before anybody can. */
  ask(from: Peer, text: string, at: number): readonly Peer[] {
    const route = this.route(from, text, at)
    const call = readCall(text, at)
    if (!this.questions.ask(from, call, route)) return NOWHERE
    this.#onAsked(from, call, route)
    return route
  }

  /** An answer to one of these. */
  answer(from: Peer, asker: Peer, text: string, at: number): readonly Peer[] {
    if (!this.questions.answer(from, asker, readCall(text, at), hasFlag(text, at, DONE))) return NOWHERE
    if (!asker.full) return asker.only
    // Who asked waits for a while only: it will hear that an answer is missing.
    asker.droppedEvents++
    return NOWHERE
  }

  /** Only who has said that it has the namespace may hold rooms in it: so nothing is left when it goes. */
  #of(peer: Peer, nsp: string): Namespace | undefined {
    const namespace = this.#namespaces.get(nsp)
    if (namespace?.servers.counts.has(peer)) return namespace
    peer.offend(() => new HubError('ERR_HUB_PROTOCOL', 'It told of rooms in a namespace that it does not have.'))
    return undefined
  }
}
