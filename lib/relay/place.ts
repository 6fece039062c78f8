import type { Exit, Member, MemberState } from '../types.js'
import { Hold } from './hold.js'
import type { Registrations } from './interest.js'
import type { Outlet, Peer } from './peer.js'
import { Pressure } from './pressure.js'

export interface PlaceOptions {
  highWaterMark: number
  maxHeldBytes: number
  /** What is held for it is at its bound. */
  onHeld(place: Place): void
  /** Tells a producer about the pressure on this place. */
  onPressure(place: Place, producer: Peer, on: boolean): void
}

/** A seat as the hub routes to it, whoever sits there. */
export class Place implements Outlet {
  readonly id: string
  readonly role: string | undefined
  readonly address: number
  readonly only: readonly Outlet[] = [this]
  readonly hold: Hold
  readonly pressure: Pressure
  state: MemberState = 'starting'
  incarnation = 0
  pid: number | undefined
  /** Who sits here now, ready or not: what is for the seat goes there. */
  peer: Peer | undefined
  /** All of its processes that live: that one, one that is to follow it, and those that it followed. */
  readonly peers = new Set<Peer>()
  /** What the last ready incarnation listened to; undefined when there was none yet. */
  known: Registrations | undefined
  lastExit: Exit | undefined
  /** Its process has left the hub, and lives on. */
  away = false
  /** It is stopped because its last process ended by itself, and its `restart` wants no other. */
  ended = false
  /** Its last process was killed because its event loop did not turn. */
  hung = false
  /** Events that were dropped for processes that are gone, and held ones that nobody listens to any more. */
  droppedEvents = 0
  /** Tasks for it, and answers to it, for which a queue was too full. */
  refused = 0
  readonly #highWaterMark: number

  constructor(id: string, role: string | undefined, address: number, options: PlaceOptions) {
    this.id = id
    this.role = role
    this.address = address
    this.hold = new Hold(options.maxHeldBytes, () => options.onHeld(this))
    this.#highWaterMark = options.highWaterMark
    this.pressure = new Pressure(
      () => (this.peer?.ready ? this.peer.over : this.hold.bytes > this.#highWaterMark),
      (producer, on) => options.onPressure(this, producer, on),
    )
  }

  get ready(): boolean {
    return this.peer?.ready === true
  }

  /** Not ready, but will be: what is sent here waits. */
  get holds(): boolean {
    return !this.ready && !this.away && this.state !== 'stopped' && this.state !== 'given-up'
  }

  /** Whether an event of this name should go here. Before the first incarnation is ready nobody knows, so it should. */
  accepts(name: string): boolean {
    if (this.peer?.ready) return this.peer.registrations.listens(name)
    return this.holds && (this.known === undefined || this.known.listens(name))
  }

  deliver(sender: Peer, frames: string, attachments: readonly Uint8Array[], owned = false): void {
    if (this.peer?.ready) {
      this.peer.deliver(sender, frames, attachments, owned)
    } else if (this.holds) {
      this.hold.add(sender, frames, attachments)
      if (this.hold.bytes > this.#highWaterMark) this.pressure.press(sender)
      else this.pressure.relieve()
    }
  }

  peerOf(incarnation: number): Peer | undefined {
    for (const peer of this.peers) if (peer.incarnation === incarnation) return peer
    return undefined
  }

  snapshot(): Member {
    return { id: this.id, role: this.role, pid: this.pid, incarnation: this.incarnation, state: this.state }
  }
}
