import { Alarm } from '../alarm.js'
import type { RecoveryStats } from '../types.js'
import { owned } from '../wire/batch.js'
import { packetNamespace, sequenced } from '../wire/packet.js'
import { type Position, readPosition } from '../wire/position.js'
import type { OpenedSession, RecoveryTimes, SessionData, SessionRooms } from './control.js'
import { Fifo } from './fifo.js'
import { type Addressed, KeptNamespace, type LoggedPacket } from './kept-namespace.js'
import { type KeptRoom, KeptRooms } from './kept-room.js'
import { MirroredSession } from './mirrored-session.js'

/** What the hub keeps for clients that are away. */
export interface RecoveryLimits {
  /** Of packets, sessions and rooms together. */
  maxBytes: number
  maxPackets: number
  /** Of clients that are away. */
  maxSessions: number
}

/** So large a part of the bytes may be rooms of which no packet is kept any more. */
const QUIET_PART = 8

/** A client that is back, and what it missed, in order. */
export interface Restored<Sender extends Addressed> {
  readonly session: MirroredSession<Sender>
  readonly missed: readonly LoggedPacket<Sender>[]
}

/**
 * What connection state recovery needs of the hub: the recent packets in the order in which they came, and a mirror of
 * each session. A client says how far it has got in the order of the member that it was connected to; that member has
 * told where in its order the client connected, joined and left. From these it is known exactly what it missed.
 *
 * Nothing is read but headers. All of it is bounded: the oldest packet goes first, then whoever is away for longest.
 */
export class RecoveryLog<Member extends Addressed> {
  readonly #limits: RecoveryLimits
  readonly #now: () => number
  readonly #namespaces = new Map<string, KeptNamespace<Member>>()
  readonly #rooms = new KeptRooms<KeptRoom<LoggedPacket<Member>>>()
  /** Of all namespaces. */
  readonly #packets = new Fifo<LoggedPacket<Member>>()
  /** Sessions of clients that are away, from the longest on. */
  readonly #away = new Set<MirroredSession<Member>>()
  /** Of the last packet. */
  sequence = 0
  /** Whether anybody ever had recovery on. */
  used = false
  #bytes = 0
  #recovered = 0
  #replayed = 0
  #refused = 0
  #droppedPackets = 0
  #droppedSessions = 0
  #expiredSessions = 0

  readonly #alarm: Alarm

  /** `now`: milliseconds, of a clock that never goes back. `onFull`: packets or sessions are forgotten before their time. */
  constructor(limits: RecoveryLimits, now: () => number, onFull: (bytes: number) => void = () => {}) {
    this.#limits = limits
    this.#now = now
    this.#alarm = new Alarm(() => onFull(this.#bytes))
  }

  /** Whether there is anything to look after. */
  get active(): boolean {
    return this.#namespaces.size > 0
  }

  /** Whether packets of that namespace are kept. */
  keeps(nsp: string): boolean {
    return this.#namespaces.get(nsp)?.keeps ?? false
  }

  stats(): RecoveryStats {
    let sessions = 0
    for (const namespace of this.#namespaces.values()) sessions += namespace.sessions.size
    return {
      packets: this.#packets.size,
      bytes: this.#allBytes,
      sessions,
      away: this.#away.size,
      recovered: this.#recovered,
      replayed: this.#replayed,
      refused: this.#refused,
      droppedPackets: this.#droppedPackets,
      droppedSessions: this.#droppedSessions,
      expiredSessions: this.#expiredSessions,
    }
  }

  attach(member: Member, nsp: string, times: RecoveryTimes): void {
    let namespace = this.#namespaces.get(nsp)
    if (!namespace) {
      namespace = new KeptNamespace(this.#rooms)
      this.#namespaces.set(nsp, namespace)
    }
    namespace.members.add(member)
    this.used = true
    const { session, packets } = namespace.times
    namespace.times = { session: Math.max(session, times.session), packets: Math.max(packets, times.packets) }
  }

  /** Its clients in the namespace are away from now on. */
  detach(member: Member, nsp: string): void {
    const namespace = this.#namespaces.get(nsp)
    if (!namespace?.members.delete(member)) return
    for (const session of namespace.sessions.values()) {
      if (session.home === member && !session.away) this.#lose(session)
    }
    this.#bound()
  }

  /**
   * Takes a recoverable Packet of a batch. Returns it as it is to go on, with its place in the order and in memory of its
   * own; undefined when nobody may miss it.
   */
  record(
    sender: Member,
    text: string,
    at: number,
    length: number,
    attachments: readonly Uint8Array[],
  ): LoggedPacket<Member> | undefined {
    const namespace = this.#namespaces.get(packetNamespace(text, at))
    if (!namespace?.keeps) return undefined
    const sequence = ++this.sequence
    const frame = sequenced(text, at, length, sequence)
    const packet = namespace.add(sender, sequence, frame, attachments.map(owned), this.#now())
    this.#packets.push(packet)
    this.#bytes += packet.bytes
    this.#bound()
    return packet
  }

  // Sessions. Members tell them; where they tell of one that is not theirs, it was dropped, or never was.

  open(home: Member, nsp: string, { pid, sid, at, rooms, data }: OpenedSession): void {
    const namespace = this.#namespaces.get(nsp)
    const start = positionOf(home, at)
    if (!namespace?.members.has(home) || !start || namespace.sessions.has(pid)) return
    const session = new MirroredSession(home, { nsp, pid, sid, data }, start)
    for (const room of rooms) session.join(room, start)
    namespace.sessions.set(pid, session)
    this.#bytes += session.bytes
    this.#bound(session)
  }

  /** `fresh`: the member heard nothing of these rooms before, so what others sent until now did not reach it. */
  moved(home: Member, nsp: string, { pid, at, join, leave, fresh }: SessionRooms): void {
    const session = this.#sessionOf(home, nsp, pid)
    const position = positionOf(home, at)
    const namespace = this.#namespaces.get(nsp)
    if (!session || !position || !namespace) return
    this.#bytes -= session.bytes
    const from = fresh ? { ...position, hub: this.sequence } : position
    for (const room of join ?? []) session.join(room, from)
    for (const room of leave ?? []) session.leave(room, position, this.sequence, namespace)
    this.#bytes += session.bytes
    this.#bound(session)
  }

  /** The client is away. Without `data`, it had tried to come back, and the attempt failed. */
  lost(home: Member, nsp: string, pid: string, data: SessionData | undefined): void {
    const session = this.#sessionOf(home, nsp, pid)
    if (!session) return
    if (data) {
      this.#bytes -= session.bytes
      session.update(data)
      this.#bytes += session.bytes
    }
    this.#lose(session, data === undefined)
    this.#bound()
  }

  /** Its socket was on its way to that member, and has not arrived. */
  abandon(to: Member, nsp: string, pid: string): void {
    const session = this.#sessionOf(to, nsp, pid)
    if (!session) return
    this.#lose(session)
    this.#bound()
  }

  /** The client will not come back. */
  end(home: Member, nsp: string, pid: string): void {
    const session = this.#sessionOf(home, nsp, pid)
    if (session) this.#forget(session)
  }

  /** Who has the client's socket; undefined where the client is away, or not known. */
  holder(nsp: string, pid: string): Member | undefined {
    const session = this.#namespaces.get(nsp)?.sessions.get(pid)
    return session?.away ? undefined : session?.home
  }

  /**
   * A client asks for its session, to be that member's from now on. Undefined: it has to connect anew. `full`: nothing can
   * be sent to that member.
   */
  restore(home: Member, nsp: string, pid: string, offset: string, full = false): Restored<Member> | undefined {
    this.#age()
    const namespace = this.#namespaces.get(nsp)
    const session = namespace?.sessions.get(pid)
    const position = readPosition(offset)
    if (!namespace || !session?.away || !namespace.members.has(home)) {
      this.#refused++
      return undefined
    }
    if (full || !position || !namespace.knowsAllFor(session, position) || this.#isExpired(session)) {
      this.#refused++
      this.#forget(session)
      return undefined
    }
    const missed = namespace.missedBy(session, position)
    this.#away.delete(session)
    this.#bytes -= session.bytes
    session.move(home, this.sequence, namespace)
    this.#bytes += session.bytes
    this.#recovered++
    this.#replayed += missed.length
    this.#bound(session)
    return { session, missed }
  }

  /** The client's socket is another member's from now on, and the client has not been away. */
  handOver(from: Member, to: Member, nsp: string, pid: string): void {
    const namespace = this.#namespaces.get(nsp)
    const session = this.#sessionOf(from, nsp, pid)
    if (!namespace || !session) return
    if (!namespace.members.has(to)) {
      this.#forget(session)
      return
    }
    this.#bytes -= session.bytes
    session.move(to, this.sequence, namespace)
    this.#bytes += session.bytes
    this.#bound(session)
  }

  /** Forgets what is too old. To be called now and then. */
  sweep(): void {
    this.#age()
    const { maxBytes, maxPackets, maxSessions } = this.#limits
    const used = [this.#allBytes / maxBytes, this.#packets.size / maxPackets, this.#away.size / maxSessions]
    this.#alarm.settle(Math.max(...used), 1)
    for (const [nsp, namespace] of this.#namespaces) {
      if (namespace.keeps || namespace.size > 0) continue
      namespace.close()
      this.#namespaces.delete(nsp)
    }
  }

  #age(): void {
    const now = this.#now()
    for (let packet = this.#packets.first; packet; packet = this.#packets.first) {
      if (packet.loggedAt + packet.namespace.times.packets >= now) break
      this.#drop(packet)
    }
    for (const session of this.#away) {
      if (!this.#isExpired(session)) break
      this.#expiredSessions++
      this.#forget(session)
    }
  }

  #isExpired(session: MirroredSession<Member>): boolean {
    const kept = this.#namespaces.get(session.nsp)?.times.session ?? 0
    return session.lostAt + kept < this.#now()
  }

  #sessionOf(home: Member, nsp: string, pid: string): MirroredSession<Member> | undefined {
    const session = this.#namespaces.get(nsp)?.sessions.get(pid)
    return session?.home === home && !session.away ? session : undefined
  }

  #lose(session: MirroredSession<Member>, again = false): void {
    session.away = true
    if (!again) session.lostAt = this.#now()
    this.#away.add(session)
  }

  #forget(session: MirroredSession<Member>): void {
    this.#namespaces.get(session.nsp)?.sessions.delete(session.pid)
    this.#away.delete(session)
    this.#bytes -= session.bytes
  }

  #drop(packet: LoggedPacket<Member>): void {
    this.#packets.shift()
    packet.namespace.drop(packet)
    this.#bytes -= packet.bytes
  }

  get #allBytes(): number {
    return this.#bytes + this.#rooms.bytes
  }

  /** `grown`: the session that goes when there is nothing else. */
  #bound(grown?: MirroredSession<Member>): void {
    const { maxBytes, maxPackets, maxSessions } = this.#limits
    while (this.#packets.size > maxPackets || this.#allBytes > maxBytes) {
      const packet = this.#packets.first
      if (!packet) break
      this.#drop(packet)
      this.#droppedPackets++
      this.#alarm.raise()
    }
    while (this.#rooms.quietBytes * QUIET_PART > maxBytes || this.#allBytes > maxBytes) {
      if (!this.#rooms.forget()) break
    }
    for (const session of this.#away) {
      if (this.#away.size <= maxSessions && this.#allBytes <= maxBytes) break
      this.#dropSession(session)
    }
    if (grown && this.#allBytes > maxBytes) this.#dropSession(grown)
  }

  #dropSession(session: MirroredSession<Member>): void {
    this.#forget(session)
    this.#droppedSessions++
    this.#alarm.raise()
  }
}

/** Members speak for themselves alone, whatever they say. */
function positionOf({ address }: Addressed, at: string): Position | undefined {
  const position = readPosition(at)
  return position && { ...position, origin: address }
}
