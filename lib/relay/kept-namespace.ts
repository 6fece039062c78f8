import { attachmentSize, flatten } from '../wire/batch.js'
import { packetExcept, packetRooms, readScope, Scope, senderSequence } from '../wire/packet.js'
import { covers, type Position } from '../wire/position.js'
import type { RecoveryTimes } from './control.js'
import { Extent } from './extent.js'
import { KeptRoom, type KeptRooms } from './kept-room.js'
import type { AddressedPacket, MirroredSession, Past } from './mirrored-session.js'

/** A member of the hub: its address is that of an incarnation. */
export interface Addressed {
  readonly address: number
}

/** What a packet weighs beside its frame and attachments. */
const PACKET_BYTES = 128

type Room<Sender extends Addressed> = KeptRoom<LoggedPacket<Sender>>

/** A packet that clients may have missed. */
export class LoggedPacket<Sender extends Addressed> implements AddressedPacket {
  readonly namespace: KeptNamespace<Sender>
  readonly rooms: readonly Room<Sender>[]
  readonly sender: Sender
  readonly hub: number
  readonly local: number
  /** In memory of its own, with the hub's sequence in it. */
  readonly frame: string
  readonly attachments: readonly Uint8Array[]
  readonly loggedAt: number
  readonly bytes: number

  constructor(
    namespace: KeptNamespace<Sender>,
    rooms: readonly Room<Sender>[],
    sender: Sender,
    hub: number,
    frame: string,
    attachments: readonly Uint8Array[],
    loggedAt: number,
  ) {
    this.namespace = namespace
    this.rooms = rooms
    this.sender = sender
    this.hub = hub
    this.local = senderSequence(frame, 0)
    this.frame = frame
    this.attachments = attachments
    this.loggedAt = loggedAt
    this.bytes = attachments.reduce((sum, one) => sum + attachmentSize(one), PACKET_BYTES + frame.length)
  }

  get origin(): number {
    return this.sender.address
  }

  get isLocal(): boolean {
    return readScope(this.frame, 0) === Scope.Nobody
  }

  get except(): readonly string[] {
    return packetExcept(this.frame, 0)
  }
}

/** What is kept for one namespace of Socket.IO. */
export class KeptNamespace<Member extends Addressed> implements Past {
  /** Who has recovery on. */
  readonly members = new Set<Member>()
  readonly sessions = new Map<string, MirroredSession<Member>>()
  /** The longest that any member asked for. */
  times: RecoveryTimes = { session: 0, packets: 0 }
  /** Packets kept. */
  size = 0
  readonly #kept: KeptRooms<Room<Member>>
  readonly #rooms = new Map<string, Room<Member>>()
  /** As good as a room: what is for everybody. */
  readonly #everybody = new KeptRoom<LoggedPacket<Member>>('', 0)
  /** The hub's sequence up to which nothing is known of rooms that are not listed. */
  #floor = 0
  /** The hub's sequence of the last packet that was forgotten. */
  #dropped = 0

  constructor(kept: KeptRooms<Room<Member>>) {
    this.#kept = kept
  }

  /** The hub's sequence up to which packets are known no more: where none are kept, whatever has been sent until now. */
  get dropped(): number {
    return this.size === 0 ? Number.POSITIVE_INFINITY : this.#dropped
  }

  /** Whether packets are kept: there is somebody who may miss them. */
  get keeps(): boolean {
    return this.members.size > 0 || this.sessions.size > 0
  }

  add(
    sender: Member,
    sequence: number,
    frame: string,
    attachments: readonly Uint8Array[],
    now: number,
  ): LoggedPacket<Member> {
    const packet = new LoggedPacket(this, this.#roomsOf(frame), sender, sequence, frame, attachments, now)
    for (const room of packet.rooms) room.add(packet)
    if (packet.rooms.length === 0) this.#everybody.add(packet)
    this.size++
    return packet
  }

  /** Forgets the oldest packet, which is this. */
  drop(packet: LoggedPacket<Member>): void {
    for (const room of packet.rooms) {
      room.drop(packet)
      if (room.packets.size === 0) this.#kept.quieten(room, this)
    }
    if (packet.rooms.length === 0) this.#everybody.drop(packet)
    this.#dropped = packet.hub
    this.size--
  }

  /** Nothing is known of that room any more, not even since when. */
  forget(room: Room<Member>): void {
    this.#rooms.delete(room.name)
    this.#floor = Math.max(this.#floor, room.forgotten.hub)
  }

  close(): void {
    for (const room of this.#rooms.values()) this.#kept.remove(room)
    this.#rooms.clear()
  }

  sentTo(room: string): Extent {
    return this.#rooms.get(room)?.sent.copy() ?? new Extent(this.#floor)
  }

  /** Whether all packets are known that a client missed which has got so far. */
  knowsAllFor(session: MirroredSession<Member>, position: Position): boolean {
    if (!session.forgotten.isBehind(position)) return false
    if (!this.#everybody.forgotten.isBehind(position, session.start)) return false
    for (const { place, from, sent } of session.stays()) {
      if (typeof place === 'number' || sent?.isBehind(position, from)) continue
      const forgotten = this.#rooms.get(place)?.forgotten ?? new Extent(this.#floor)
      if (!forgotten.isBehind(position, from)) return false
    }
    return true
  }

  /** What that client missed, in order. */
  missedBy(session: MirroredSession<Member>, position: Position): LoggedPacket<Member>[] {
    const rooms = new Set([this.#everybody])
    for (const { place, end } of session.stays()) {
      const room = typeof place === 'string' && end > position.hub ? this.#rooms.get(place) : undefined
      if (room) rooms.add(room)
    }
    const missed = new Set<LoggedPacket<Member>>()
    for (const { packets } of rooms) {
      for (const packet of packets.from(({ hub }) => hub > position.hub)) {
        if (!covers(position, packet) && session.concerns(packet)) missed.add(packet)
      }
    }
    return [...missed].sort((one, other) => one.hub - other.hub)
  }

  #roomsOf(frame: string): readonly Room<Member>[] {
    const names = packetRooms(frame, 0)
    const rooms = names.map((name) => this.#roomOf(name))
    return rooms.length === 1 ? (rooms[0] as Room<Member>).only : rooms
  }

  #roomOf(name: string): Room<Member> {
    const known = this.#rooms.get(name)
    if (known) {
      if (known.packets.size === 0) this.#kept.wake(known)
      return known
    }
    // Whatever was sent there once, and who knows when, is not known.
    const room = new KeptRoom<LoggedPacket<Member>>(flatten(name), this.#floor)
    this.#rooms.set(room.name, room)
    this.#kept.added(room)
    return room
  }
}
