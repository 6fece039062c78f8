import { attachmentSize } from '../wire/batch.js'
import { packetExcept, packetRooms, readScope, Scope, senderSequence } from '../wire/packet.js'
import type { Position } from '../wire/position.js'
import type { RecoveryTimes } from './control.js'
import { Fifo } from './fifo.js'
import type { AddressedPacket, MirroredSession } from './mirrored-session.js'

/** A member of the hub: its address is that of an incarnation. */
export interface Addressed {
  readonly address: number
}

/** What a packet weighs beside its frame and attachments. */
const PACKET_BYTES = 128

/** A packet that clients may have missed. */
export class LoggedPacket<Sender extends Addressed> implements AddressedPacket {
  readonly namespace: KeptNamespace<Sender>
  readonly sender: Sender
  readonly hub: number
  readonly local: number
  /** In memory of its own, with the hub's sequence in it. */
  readonly frame: string
  readonly attachments: readonly Uint8Array[]
  readonly loggedAt: number
  readonly bytes: number
  #rooms: readonly string[] | undefined
  #except: readonly string[] | undefined

  constructor(
    namespace: KeptNamespace<Sender>,
    sender: Sender,
    hub: number,
    frame: string,
    attachments: readonly Uint8Array[],
    loggedAt: number,
  ) {
    this.namespace = namespace
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

  // Read when the first client asks, which is never for most packets.

  get rooms(): readonly string[] {
    this.#rooms ??= packetRooms(this.frame, 0)
    return this.#rooms
  }

  get except(): readonly string[] {
    this.#except ??= packetExcept(this.frame, 0)
    return this.#except
  }
}

/** What is kept for one namespace of Socket.IO. */
export class KeptNamespace<Member extends Addressed> {
  /** Who has recovery on. */
  readonly members = new Set<Member>()
  readonly packets = new Fifo<LoggedPacket<Member>>()
  readonly sessions = new Map<string, MirroredSession<Member>>()
  /** The longest that any member asked for. */
  times: RecoveryTimes = { session: 0, packets: 0 }
  /** The last packet that is known no more, and the hub's sequence of the last one of any other member than its sender. */
  #dropped: Position | undefined
  #droppedOfOthers = 0

  /** Whether packets are kept: there is somebody who may miss them. */
  get keeps(): boolean {
    return this.members.size > 0 || this.sessions.size > 0
  }

  /** The hub's sequence up to which packets are known no more. */
  get dropped(): number {
    return this.#dropped?.hub ?? 0
  }

  drop(): void {
    const packet = this.packets.shift()
    if (!packet) return
    if (this.#dropped && this.#dropped.origin !== packet.origin) this.#droppedOfOthers = this.#dropped.hub
    this.#dropped = { origin: packet.origin, hub: packet.hub, local: packet.local }
  }

  /** Whether all packets behind that position are known. */
  knowsAllBehind({ origin, hub, local }: Position): boolean {
    const dropped = this.#dropped
    if (!dropped || dropped.hub <= hub) return true
    return dropped.origin === origin && dropped.local <= local && this.#droppedOfOthers <= hub
  }
}
