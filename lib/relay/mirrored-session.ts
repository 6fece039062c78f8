import { covers, NOBODY, type Position } from '../wire/position.js'
import type { SessionData } from './control.js'
import { Extent } from './extent.js'

/** Whom a packet is for, and whom not, beside its place in the order of things. */
export interface AddressedPacket extends Position {
  /** Rooms; none means everybody. */
  readonly rooms: readonly { readonly name: string }[]
  readonly except: readonly string[]
  /** It is for clients of its sender alone. */
  readonly isLocal: boolean
}

/** A room by its name, or a member by its address: its clients are as good as in a room. */
type Place = string | number

/** A time that was spent in a place, or is. */
interface Stay {
  readonly place: Place
  readonly from: Position
  /** When it is over: what had been sent there until then. */
  readonly sent?: Extent
  /** The hub's sequence when it heard of the end: no packet behind it is concerned. */
  readonly end: number
}

/** One that is over. */
interface PastStay extends Stay {
  readonly to: Position
  readonly sent: Extent
}

/** What the hub knows no more. */
export interface Past {
  /** Its sequence up to which packets are forgotten. */
  readonly dropped: number
  /** All that was sent to that room until now. */
  sentTo(room: string): Extent
}

/** More stays than these, and the oldest is forgotten: who has not even got as far cannot be helped any more. */
const MAX_STAYS = 256

/** What a session weighs beside its names and data. */
const SESSION_BYTES = 256
const PLACE_BYTES = 128

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
  /** What cannot be told any more from what it missed: a client that has not got all of it cannot be told anything. */
  readonly forgotten = new Extent()
  bytes: number
  readonly #start: Position
  readonly #places = new Map<Place, Position>()
  #past: PastStay[] = []

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

  /** Where it is, and where it was as far as that may still matter. */
  *stays(): Generator<Stay> {
    for (const [place, from] of this.#places) yield { place, from, end: Number.POSITIVE_INFINITY }
    yield* this.#past
  }

  join(room: Place, from: Position): void {
    if (this.#places.has(room)) return
    this.#places.set(room, from)
    this.bytes += weigh(room)
  }

  /** `sequence`: the hub's, now. */
  leave(place: Place, to: Position, sequence: number, past: Past): void {
    const from = this.#places.get(place)
    if (from === undefined) return
    this.#places.delete(place)
    // Being connected somewhere decides only of what was sent to rooms and everybody.
    const sent = typeof place === 'string' ? past.sentTo(place) : new Extent()
    this.#past.push({ place, from, to, sent, end: sequence })
    const first = this.#past[0] as PastStay
    if (first.end > past.dropped && this.#past.length <= MAX_STAYS) return
    const kept = this.#past.filter(({ end }) => end > past.dropped)
    const excess = kept.splice(0, kept.length - MAX_STAYS)
    for (const stay of this.#past) {
      if (kept.includes(stay)) continue
      this.bytes -= weigh(stay.place)
      if (!stay.sent.isBehind(stay.from)) this.forgotten.merge(stay.sent)
    }
    // Of packets that are still to be had, nobody can say any more whether they were for it.
    const last = excess.at(-1)
    if (last) this.forgotten.merge(new Extent(last.end))
    this.#past = kept
  }

  update(data: SessionData): void {
    this.bytes += sizeOf(data) - sizeOf(this.data)
    this.data = data
  }

  /** Its socket is another member's from now on. */
  move(home: Home, sequence: number, past: Past): void {
    // The hub has all that the old one sent while it had the socket, and nothing of what the new one will send.
    const now = { origin: NOBODY, hub: sequence, local: 0 }
    if (home.address !== this.home.address) {
      this.leave(this.home.address, now, sequence, past)
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
    } else if (!packet.rooms.some(({ name }) => this.#wasIn(name, packet))) {
      return false
    }
    return !packet.except.some((room) => this.#wasIn(room, packet))
  }

  #wasIn(place: Place, packet: Position): boolean {
    const since = this.#places.get(place)
    if (since !== undefined && !covers(since, packet)) return true
    return this.#past.some((stay) => stay.place === place && !covers(stay.from, packet) && covers(stay.to, packet))
  }
}

function weigh(place: Place): number {
  return PLACE_BYTES + (typeof place === 'string' ? place.length : 0)
}

function sizeOf({ text, bytes }: SessionData): number {
  return text.length + (bytes?.length ?? 0)
}
