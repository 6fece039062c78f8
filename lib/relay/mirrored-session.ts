import { covers, NOBODY, type Position } from '../wire/position.js'
import type { SessionData } from './control.js'

/** Whom a packet is for, and whom not, beside its place in the order of things. */
export interface AddressedPacket extends Position {
  /** Rooms; none means everybody. */
  readonly rooms: readonly string[]
  readonly except: readonly string[]
  /** It is for clients of its sender alone. */
  readonly isLocal: boolean
}

/** A room by its name, or a member by its address: its clients are as good as in a room. */
type Place = string | number

/** A time that was spent in a place and is over. */
interface Stay {
  readonly place: Place
  readonly from: Position
  readonly to: Position
  /** The hub's sequence when it heard of the end: no packet behind it is concerned. */
  readonly end: number
}

/** More stays than these, and the oldest is forgotten: who has not even got as far cannot be helped any more. */
const MAX_STAYS = 256

/** What a session weighs beside its names and data. */
const SESSION_BYTES = 256
const PLACE_BYTES = 64

/**
 * A client's session as the hub mirrors it: where it is connected, in which rooms it is and was, and since where in the
 * order of its member. So it is known of each packet whether the client had a right to it.
 */
export class MirroredSession<Home extends { readonly address: number }> {
  readonly nsp: string
  readonly pid: string
  readonly sid: string
  data: SessionData
  /** Who has its socket, or had it last. */
  home: Home
  away = false
  /** When its socket was lost. It holds on while the client tries to come back. */
  lostAt = 0
  /** A client that has got less than this of the hub's order cannot be told what it missed. */
  floor = 0
  bytes: number
  readonly #start: Position
  readonly #places = new Map<Place, Position>()
  #stays: Stay[] = []

  constructor(
    home: Home,
    { nsp, pid, sid, data }: { nsp: string; pid: string; sid: string; data: SessionData },
    start: Position,
  ) {
    this.nsp = nsp
    this.pid = pid
    this.sid = sid
    this.data = data
    this.home = home
    this.bytes = SESSION_BYTES + pid.length + sid.length + sizeOf(data)
    this.#start = start
    this.#places.set(home.address, start)
  }

  /** Nothing before was ever for it. */
  get start(): Position {
    return this.#start
  }

  get rooms(): string[] {
    return [...this.#places.keys()].filter((place) => typeof place === 'string')
  }

  join(room: Place, from: Position): void {
    if (this.#places.has(room)) return
    this.#places.set(room, from)
    this.bytes += weigh(room)
  }

  /** `sequence`: the hub's, now. `dropped`: up to there the hub knows no packets any more. */
  leave(place: Place, to: Position, sequence: number, dropped: number): void {
    const from = this.#places.get(place)
    if (from === undefined) return
    this.#places.delete(place)
    this.#stays.push({ place, from, to, end: sequence })
    const first = this.#stays[0] as Stay
    if (first.end > dropped && this.#stays.length <= MAX_STAYS) return
    const kept = this.#stays.filter(({ end }) => end > dropped)
    const forgotten = kept.splice(0, kept.length - MAX_STAYS)
    this.floor = forgotten.at(-1)?.end ?? this.floor
    for (const stay of this.#stays) if (!kept.includes(stay)) this.bytes -= weigh(stay.place)
    this.#stays = kept
  }

  update(data: SessionData): void {
    this.bytes += sizeOf(data) - sizeOf(this.data)
    this.data = data
  }

  /** Its socket is another member's from now on. */
  move(home: Home, sequence: number, dropped: number): void {
    // The hub has all that the old one sent while it had the socket, and nothing of what the new one will send.
    const now = { origin: NOBODY, hub: sequence, local: 0 }
    if (home.address !== this.home.address) {
      this.leave(this.home.address, now, sequence, dropped)
      this.join(home.address, now)
    }
    this.home = home
    this.away = false
  }

  /** Whether its client should have got the packet. */
  concerns(packet: AddressedPacket): boolean {
    if (packet.isLocal && !this.#wasIn(packet.origin, packet)) return false
    if (packet.rooms.length === 0) {
      if (covers(this.#start, packet)) return false
    } else if (!packet.rooms.some((room) => this.#wasIn(room, packet))) {
      return false
    }
    return !packet.except.some((room) => this.#wasIn(room, packet))
  }

  #wasIn(place: Place, packet: Position): boolean {
    const since = this.#places.get(place)
    if (since !== undefined && !covers(since, packet)) return true
    return this.#stays.some((stay) => stay.place === place && !covers(stay.from, packet) && covers(stay.to, packet))
  }
}

function weigh(place: Place): number {
  return PLACE_BYTES + (typeof place === 'string' ? place.length : 0)
}

function sizeOf({ text, bytes }: SessionData): number {
  return text.length + (bytes?.length ?? 0)
}
