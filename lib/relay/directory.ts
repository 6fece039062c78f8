import { HubError } from '../errors.js'
import { FIRST_ADDRESS, MAX_ADDRESS } from '../wire/frame.js'
import type { Transport } from '../wire/transport.js'
import { Peer, type PeerOptions } from './peer.js'
import { Place, type PlaceOptions } from './place.js'

/** A name shared by interchangeable seats. */
export class Role {
  readonly name: string
  readonly address: number
  readonly places = new Set<Place>()

  constructor(name: string, address: number) {
    this.name = name
    this.address = address
  }
}

export type Entry = Place | Peer | Role

/**
 * Who is on the hub: seats, their incarnations, and roles, each with an address of its own. Addresses are never used
 * again, so that a reply to a process that is gone cannot reach its successor.
 */
export class Directory {
  readonly #byId = new Map<string, Place>()
  readonly #roles = new Map<string, Role>()
  readonly #entries: (Entry | undefined)[] = []
  readonly #options: PeerOptions & PlaceOptions
  /** Changes whenever a route may have changed. */
  version = 0

  constructor(options: PeerOptions & PlaceOptions) {
    this.#options = options
  }

  get places(): Iterable<Place> {
    return this.#byId.values()
  }

  /** All processes that live. */
  get peers(): Peer[] {
    return [...this.#byId.values()].flatMap(({ peers }) => [...peers])
  }

  get roles(): Iterable<Role> {
    return this.#roles.values()
  }

  place(id: string): Place | undefined {
    return this.#byId.get(id)
  }

  role(name: string): Role | undefined {
    return this.#roles.get(name)
  }

  entry(address: number): Entry | undefined {
    return this.#entries[address]
  }

  /** Whether somebody has, or had, this address. */
  wasGiven(address: number): boolean {
    return address >= FIRST_ADDRESS && address < this.#entries.length
  }

  addPlace(id: string, role: string | undefined): Place {
    const place = new Place(id, role, this.#nextAddress(), this.#options)
    this.#entries[place.address] = place
    this.#byId.set(id, place)
    if (role !== undefined) this.#roleOf(role).places.add(place)
    this.version++
    return place
  }

  removePlace(place: Place): void {
    this.#entries[place.address] = undefined
    this.#byId.delete(place.id)
    if (place.role !== undefined) this.#roles.get(place.role)?.places.delete(place)
    this.version++
  }

  /** A new incarnation. It takes the seat when that is empty; else it waits for `succeed`. */
  enter(place: Place, incarnation: number, transport: Transport): Peer {
    const peer = new Peer(place, incarnation, this.#nextAddress(), transport, this.#options)
    this.#entries[peer.address] = peer
    place.peers.add(peer)
    if (!place.peer) this.succeed(peer)
    return peer
  }

  /** The seat is this incarnation's from now on: what is for it goes there. */
  succeed(peer: Peer): void {
    const { place } = peer
    if (place.peer?.ready) {
      place.known = place.peer.registrations
      place.peer.ready = false
    }
    place.peer = peer
    place.incarnation = peer.incarnation
    this.version++
  }

  /** An incarnation is gone. Its address stays until `forget`, for answers that are still to be told from strangers. */
  leave(peer: Peer): void {
    if (peer.ready) peer.place.known = peer.registrations
    peer.leave()
    peer.place.peers.delete(peer)
    if (peer.place.peer === peer) peer.place.peer = undefined
    for (const place of this.#byId.values()) place.pressure.forget(peer)
    this.version++
  }

  forget(peer: Peer): void {
    this.#entries[peer.address] = undefined
  }

  #roleOf(name: string): Role {
    let role = this.#roles.get(name)
    if (!role) {
      role = new Role(name, this.#nextAddress())
      this.#roles.set(name, role)
      this.#entries[role.address] = role
    }
    return role
  }

  #nextAddress(): number {
    const address = Math.max(this.#entries.length, FIRST_ADDRESS)
    if (address > MAX_ADDRESS) {
      throw new HubError('ERR_HUB_OVERLOADED', 'This hub has started 16 million processes: restart the primary.')
    }
    this.#entries[address] = undefined
    return address
  }
}
