import type { HubError } from './errors.js'
import { nextNumber } from './numbers.js'
import { RecoveryDesk, type RecoveryLink } from './recovery.js'
import type { RecoveryTimes, ToMember } from './relay/control.js'
import { type Body, sizeOf, tooLarge } from './wire/codec.js'
import { ASKING, ATTACHED, callBody, callHeader, KEPT, RECOVERABLE, readCall, readLength } from './wire/frame.js'
import {
  answerKind,
  hubSequence,
  packetBody,
  packetHeader,
  packetNamespace,
  packetRooms,
  readScope,
  Scope,
  senderSequence,
  writeRecovery,
  writeRooms,
} from './wire/packet.js'

/** The control messages that are Socket.IO's. */
type Message = Extract<ToMember, { t: 'members' | 'asked' | 'gone' | 'position' | 'restored' | 'again' }>

/** Whom a packet is for, the sender's own sockets and servers excepted. */
export type Audience =
  | { readonly scope: typeof Scope.Rooms; readonly rooms: readonly string[] }
  | { readonly scope: typeof Scope.Sockets | typeof Scope.Servers; readonly rooms?: undefined }
  /** The sender's own clients, and so nobody: the hub keeps it for those that are away. */
  | { readonly scope: typeof Scope.Nobody; readonly rooms: readonly string[] }

/** A packet's place among those of its sender, and the rooms that it is not for. */
export interface Recoverable {
  readonly sequence: number
  readonly except: Iterable<string>
}

/** Who has sent a packet. */
export interface Origin {
  readonly address: number
  /** The packet's place among those of its sender that clients may get later; 0 where they do not. */
  readonly local: number
}

/** A packet from another member. */
export interface ArrivedPacket extends Body {
  /** The rooms that it is for; undefined when it is for the whole namespace. */
  readonly rooms: readonly string[] | undefined
  /** Whether clients that are away get it when they come back. */
  readonly recoverable: boolean
  readonly origin: Origin
  /** Answers it; `done` with the last answer, exactly once. Undefined when the packet asks for none. */
  readonly answer: ((body: Body | undefined, done: boolean) => void) | undefined
}

/** What takes the packets of one namespace. It throws when a packet cannot be read, and for nothing else. */
export type Receiver = (packet: ArrivedPacket) => void

/** How packets leave. */
export interface PacketLink extends RecoveryLink {
  readonly maxMessageBytes: number
  write(start: string, rest: string, attachments?: readonly Uint8Array[]): void
  /** Sends at once what was written. */
  hurry(): void
  /** Whether nothing more should be written; `refuse` counts what is not written because of that. */
  readonly full: boolean
  refuse(): void
  overloaded(attempt: string): HubError
  tooMany(attempt: string, waiting: number): HubError
  readonly settings: { readonly maxPendingCalls: number }
  /** Resolves when the hub has taken all that was sent before; rejects when it never will. */
  sync(): Promise<void>
}

/** A question that others answer. Its hub knows whom it asked; who is gone answers no more. */
class Inquiry {
  /** Who has not yet sent its last answer; undefined until the hub has told whom it asked. */
  #waiting: Set<number> | undefined
  /** Throws when the answer cannot be read. */
  readonly onAnswer: (text: string, bytes: Uint8Array | undefined) => void
  readonly onDone: () => void

  constructor(onAnswer: Inquiry['onAnswer'], onDone: () => void) {
    this.onAnswer = onAnswer
    this.onDone = onDone
  }

  asked(addresses: readonly number[]): boolean {
    this.#waiting = new Set(addresses)
    return this.#waiting.size === 0
  }

  /** Whether that member still has to answer: whoever was not asked is not heard. */
  expects(address: number): boolean {
    return this.#waiting?.has(address) === true
  }

  /** Whether that was the last one. */
  lost(address: number): boolean {
    return this.#waiting?.delete(address) === true && this.#waiting.size === 0
  }

  get missing(): number {
    return this.#waiting?.size ?? 0
  }
}

/** A question that was asked. */
export interface Asked {
  /** No longer waits. Returns how many have not answered. */
  end(): number
}

interface Attached {
  readonly receive: Receiver
  servers: number
  /** Whether the hub keeps packets for clients that are away. It does until it says otherwise. */
  recovers: boolean
  /** Resolves when the hub has told how many servers there are. */
  readonly counted: Promise<void>
  readonly onCounted: () => void
}

const NO_BODY: Body = { text: '', bytes: undefined }

/** A member's half of the traffic of Socket.IO: packets between the servers of a namespace, and which rooms are here. */
export class Packets {
  readonly recovery: RecoveryDesk
  readonly #link: PacketLink
  readonly #onUnreadable: (what: string, error: Error) => void
  readonly #attached = new Map<string, Attached>()
  readonly #inquiries = new Map<number, Inquiry>()
  #lastCall = 0
  #settling: Promise<void> | undefined

  /** `onUnreadable`: something that another member sent cannot be read, and was dropped. */
  constructor(link: PacketLink, onUnreadable: (what: string, error: Error) => void) {
    this.#link = link
    this.#onUnreadable = onUnreadable
    this.recovery = new RecoveryDesk(link)
  }

  has(nsp: string): boolean {
    return this.#attached.has(nsp)
  }

  /** This member has a server with that namespace; with `recovery`, its clients may be away for a while. */
  attach(nsp: string, receive: Receiver, recovery?: RecoveryTimes): void {
    let onCounted = () => {}
    const counted = new Promise<void>((resolve) => {
      onCounted = resolve
    })
    this.#attached.set(nsp, { receive, servers: 1, recovers: true, counted, onCounted })
    if (this.#link.closed) onCounted()
    else this.#link.tell(recovery ? { t: 'attach', nsp, recovery } : { t: 'attach', nsp })
  }

  detach(nsp: string): void {
    this.#attached.get(nsp)?.onCounted()
    if (this.#attached.delete(nsp)) this.#link.tell({ t: 'detach', nsp })
  }

  /** How many members have a server with that namespace, this one included. */
  async serverCount(nsp: string): Promise<number> {
    const attached = this.#attached.get(nsp)
    await attached?.counted
    return attached?.servers ?? 1
  }

  /** Whether clients of that namespace, wherever they are, may get packets later. */
  recovers(nsp: string): boolean {
    return this.#attached.get(nsp)?.recovers === true && !this.#link.closed
  }

  /** Tells of rooms that came or went here, and of a socket that did. */
  tellRooms(nsp: string, change: { sockets?: boolean; join?: readonly string[]; leave?: readonly string[] }): void {
    // Sockets may outlive the adapter of their namespace by a moment.
    if (this.#attached.has(nsp)) this.#link.tell({ t: 'rooms', nsp, ...change })
  }

  /** Sends at once what was published: this process is about to be busy. */
  hurry(): void {
    this.#link.hurry()
  }

  /** Resolves when the hub has taken all that was sent in this turn. It asks once a turn, however many wait. */
  settled(): Promise<void> {
    this.#settling ??= Promise.resolve().then(() => {
      this.#settling = undefined
      // When the hub is closed there is nobody else to be seen by.
      return this.#link.sync().catch(() => {})
    })
    return this.#settling
  }

  /** `kept`: also where a slow link drops events. What is not is dropped, and counted, where too much waits already. */
  publish(nsp: string, to: Audience, body: Body, kept = false): void {
    if (!kept && this.#dropped()) return
    this.#write(kept ? KEPT : 0, 0, nsp, to, body)
  }

  /** Publishes what clients that are away get when they come back. */
  publishRecoverable(nsp: string, to: Audience, body: Body, { sequence, except }: Recoverable): void {
    if (this.#dropped()) return
    this.#write(RECOVERABLE, 0, nsp, to, body, writeRecovery(sequence, except))
  }

  /** Has sockets of others join rooms: from now on these count as held there. The receivers then say `admitted`. */
  admit(nsp: string, to: readonly string[] | undefined, rooms: readonly string[], body: string): void {
    const header = packetHeader(KEPT, 0, to ? Scope.Rooms : Scope.Sockets, nsp, to ? writeRooms(to) : '', body.length)
    this.#link.tell({ t: 'admit', nsp, to: to ?? null, rooms, frame: header + body })
  }

  /**
   * Publishes, and expects answers. `onDone` is called when all have answered or are gone, never before this returns.
   * @throws {HubError} `ERR_HUB_OVERLOADED`
   */
  ask(nsp: string, to: Audience, body: Body, onAnswer: Inquiry['onAnswer'], onDone: () => void): Asked {
    const attempt = `Asking the servers of namespace ${JSON.stringify(nsp)}`
    const { size } = this.#inquiries
    if (this.#link.full) throw this.#link.overloaded(attempt)
    if (size >= this.#link.settings.maxPendingCalls) throw this.#link.tooMany(attempt, size)
    const call = this.#nextCall()
    const inquiry = new Inquiry(onAnswer, onDone)
    if (this.#link.closed) {
      queueMicrotask(onDone)
    } else {
      this.#write(ASKING, call, nsp, to, body)
      this.#inquiries.set(call, inquiry)
    }
    return {
      end: () => {
        this.#inquiries.delete(call)
        return inquiry.missing
      },
    }
  }

  /** @throws {HubError} `ERR_HUB_PAYLOAD` when it is larger than what may travel */
  assertFits(nsp: string, body: Body): void {
    const { maxMessageBytes } = this.#link
    if (sizeOf(body) > maxMessageBytes) throw tooLarge(body, maxMessageBytes, 'a packet of Socket.IO to', nsp)
  }

  // What comes

  packet(text: string, at: number, length: number, bytes: Uint8Array | undefined, flags: number, from: number): void {
    const answer =
      flags & ASKING ? (body: Body | undefined, done: boolean) => this.#answer(from, call, body, done) : undefined
    const call = readCall(text, at)
    const body = text.substring(packetBody(text, at), at + length)
    const recoverable = (flags & RECOVERABLE) !== 0
    const local = recoverable ? senderSequence(text, at) : 0
    if (recoverable) {
      const hub = hubSequence(text, at)
      if (call > 0) {
        this.recovery.replayed(call, { origin: from, hub, local, text: body, bytes })
        return
      }
      this.recovery.arrived(hub)
    }
    const attached = this.#attached.get(packetNamespace(text, at))
    if (!attached) {
      // It was detached a moment ago.
      answer?.(undefined, true)
      return
    }
    const rooms = readScope(text, at) === Scope.Rooms ? packetRooms(text, at) : undefined
    try {
      attached.receive({ rooms, answer, recoverable, origin: { address: from, local }, text: body, bytes })
    } catch (error) {
      this.unreadable('A packet of Socket.IO', error)
      answer?.(undefined, true)
    }
  }

  /** `done`: whether it is the sender's last. */
  answered(text: string, at: number, bytes: Uint8Array | undefined, done: boolean, from: number): void {
    const call = readCall(text, at)
    const inquiry = this.#inquiries.get(call)
    if (!inquiry?.expects(from)) return
    const start = callBody(at)
    const end = at + readLength(text, at)
    if (bytes || end > start) {
      try {
        inquiry.onAnswer(text.substring(start, end), bytes)
      } catch (error) {
        this.unreadable('An answer to a packet of Socket.IO', error)
      }
    }
    if (done && inquiry.lost(from)) this.#done(call, inquiry)
  }

  control(message: Message): void {
    switch (message.t) {
      case 'asked': {
        const inquiry = this.#inquiries.get(message.call)
        if (inquiry?.asked(message.to)) this.#done(message.call, inquiry)
        break
      }
      case 'gone':
        for (const [call, inquiry] of this.#inquiries) if (inquiry.lost(message.address)) this.#done(call, inquiry)
        break
      case 'members': {
        const attached = this.#attached.get(message.nsp)
        if (!attached) break
        attached.servers = message.count
        attached.recovers = message.recovers
        attached.onCounted()
        break
      }
      case 'position':
      case 'restored':
      case 'again':
        this.recovery.control(message)
    }
  }

  /** Something that another member sent cannot be read. */
  unreadable(what: string, error: unknown): void {
    this.#onUnreadable(what, error as Error)
  }

  /** The hub is gone: what was asked is done, with what there is. */
  close(): void {
    this.recovery.close()
    for (const [call, inquiry] of [...this.#inquiries]) this.#done(call, inquiry)
    for (const attached of this.#attached.values()) {
      attached.servers = 1
      attached.onCounted()
    }
  }

  /** Nobody waits for a packet, and no caller could be told. */
  #dropped(): boolean {
    const { full } = this.#link
    if (full) this.#link.refuse()
    return full
  }

  #answer(address: number, call: number, body: Body | undefined, done: boolean): void {
    // Who asked waits for a while only.
    if (this.#dropped()) return
    const { text, bytes } = body ?? NO_BODY
    const kind = bytes ? answerKind(done) | ATTACHED : answerKind(done)
    if (!this.#link.closed) this.#link.write(callHeader(kind, address, call, text.length), text, bytes && [bytes])
  }

  #done(call: number, inquiry: Inquiry): void {
    this.#inquiries.delete(call)
    inquiry.onDone()
  }

  /** @throws {HubError} `ERR_HUB_PAYLOAD` */
  #write(flags: number, call: number, nsp: string, to: Audience, body: Body, recovery = ''): void {
    if (this.#link.closed) return
    this.assertFits(nsp, body)
    const { text, bytes } = body
    const rooms = to.rooms ? writeRooms(to.rooms) : ''
    const kind = bytes ? flags | ATTACHED : flags
    const header = packetHeader(kind, call, to.scope, nsp, rooms, text.length, recovery)
    this.#link.write(header, text, bytes && [bytes])
  }

  #nextCall(): number {
    this.#lastCall = nextNumber(this.#lastCall, 1, 0xffffffff, this.#inquiries)
    return this.#lastCall
  }
}
