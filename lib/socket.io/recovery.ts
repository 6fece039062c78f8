import type { Namespace, Socket } from 'socket.io'
import type { Packets } from '../packets.js'
import type { MissedPacket, RecoveryTimes, Restored, SessionData } from '../recovery.js'
import { after } from '../timers.js'
import type { Body } from '../wire/codec.js'
import { type Position, readPosition, writePosition } from '../wire/position.js'
import { EVENT, listOf, type ReadBody, readBody, readList } from './body.js'
import { warnOfData } from './details.js'
import type { Outlet } from './outlet.js'
import { recoveryTimes, sendEvent } from './private.js'
import { roomKey, roomOf } from './room-key.js'
import type { Adapter, BroadcastOptions, Packet } from './types.js'

/** What the in-memory adapter calls a session. */
type Session = NonNullable<Awaited<ReturnType<Adapter['restoreSession']>>>
type PersistedSession = Parameters<Adapter['persistSession']>[0]

/** A packet, and how far whoever has got it is then. */
interface Passed {
  readonly body: ReadBody
  readonly position: Position
}

/** A client that is back, from its question for its session until it is connected. */
interface Returning {
  /** How far it says that it has got. */
  readonly offset: string
  restored: Restored | undefined
  rooms: ReadonlySet<unknown>
  /** Packets that this process has sent since it asked, and those of others since the answer. */
  since: Passed[]
  timer: NodeJS.Timeout | undefined
}

/**
 * Connection state recovery: the hub keeps packets and sessions, and this tells it of the sessions of this process, gives
 * each client a position with each packet, and hands it what it missed when it comes back, from whichever process.
 */
export class Recovery {
  /** How long sessions and packets are kept; undefined when it is off. */
  readonly times: RecoveryTimes | undefined
  readonly #adapter: Adapter
  readonly #packets: Packets
  readonly #nsp: string
  /** Clients that are connected, by their sockets' ids: the names of their sessions. */
  readonly #open = new Map<string, string>()
  readonly #returning = new Map<string, Returning>()
  /** Those of them that have sockets, by the sockets' ids. */
  readonly #restored = new Map<string, string>()

  constructor(adapter: Adapter, packets: Packets) {
    this.#adapter = adapter
    this.#packets = packets
    this.#nsp = adapter.nsp.name
    this.times = recoveryTimes(adapter.nsp.server)
  }

  /** To be called before anybody else hears of sockets that connect. */
  init(outlet: Outlet): void {
    if (!this.times) return
    const nsp = this.#adapter.nsp as Namespace
    // The client has been told that it is connected, and nobody has sent it anything.
    nsp.prependListener('connect', (socket: Socket) => {
      if (nsp.adapter === this.#adapter) this.#connected(socket, outlet)
    })
  }

  // Packets

  /** A packet's place among those of this process, if clients that are away are to get it later. */
  advance(packet: Packet, { flags }: BroadcastOptions): number | undefined {
    if (packet.type !== EVENT || packet.id !== undefined || flags?.volatile !== undefined) return undefined
    return this.#packets.recovers(this.#nsp) ? this.#packets.recovery.advance() : undefined
  }

  /** What clients are to say when they come back: how far they have got. Undefined when that is nobody's business. */
  get offset(): string | undefined {
    return this.times ? this.#packets.recovery.offset : undefined
  }

  /** This process has sent a packet. Clients whose sockets are about to be there get it, too. */
  sent(packet: Body, opts: BroadcastOptions): void {
    if (this.#returning.size === 0) return
    const body = { ...readBody(packet, undefined), opts }
    for (const returning of this.#returning.values()) this.#keep(returning, body)
  }

  /** One of another process has come. */
  received(body: ReadBody): void {
    // What came before the answer is part of it.
    for (const returning of this.#returning.values()) if (returning.restored) this.#keep(returning, body)
  }

  // Sessions

  /**
   * Before the join. `isKnown`: whether the hub has said that it knows the room as held here. Returns whether the session
   * is in one that it does not: only from when the hub hears of the join.
   */
  joining(id: string, rooms: ReadonlySet<unknown>, isKnown: (room: unknown) => boolean): boolean {
    const pid = this.#pidOf(id)
    if (pid === undefined) return false
    const had = this.#adapter.sids.get(id) as ReadonlySet<unknown> | undefined
    const restored = this.#returning.get(pid)?.rooms
    const join = [...rooms].filter((room) => !had?.has(room) && !restored?.has(room))
    const fresh = join.filter((room) => !isKnown(room))
    const others = join.filter(isKnown)
    if (fresh.length > 0) this.#moved(pid, { join: fresh.map(roomKey), fresh: true })
    if (others.length > 0) this.#moved(pid, { join: others.map(roomKey) })
    return fresh.length > 0
  }

  leaving(id: string, room: unknown): void {
    const pid = this.#pidOf(id)
    if (pid !== undefined) this.#moved(pid, { leave: [roomKey(room)] })
  }

  /** The socket is gone: if it has not been told that its client may come back, it will not. */
  gone(id: string): void {
    const pid = this.#open.get(id)
    if (pid !== undefined) {
      this.#open.delete(id)
      this.#packets.recovery.tell({ t: 'session-end', nsp: this.#nsp, pid })
    }
    const restored = this.#restored.get(id)
    if (restored !== undefined) this.#giveBack(restored)
  }

  /** The client is away. Called before its socket leaves its rooms. */
  persist({ sid, pid, data }: PersistedSession): void {
    if (!this.#open.delete(sid)) return
    this.#packets.recovery.tell({ t: 'session-away', nsp: this.#nsp, pid, data: writeData(sid, data) })
  }

  /** The client's socket is another process's now, or about to be: nothing more is told of it from here. */
  release(sid: string): void {
    this.#open.delete(sid)
  }

  /** It is this one's. The hub knows. */
  adopt(sid: string, pid: string): void {
    if (this.times) this.#open.set(sid, pid)
  }

  /** A socket on its way here joins a room. */
  joinsAhead(pid: string, room: string): void {
    if (this.times) this.#moved(pid, { join: [room], fresh: true })
  }

  leavesAhead(pid: string, room: string): void {
    if (this.times) this.#moved(pid, { leave: [room] })
  }

  /** The socket that was on its way is lost; the client may come back. */
  lose(pid: string, data?: unknown): void {
    if (!this.times) return
    const message = { t: 'session-away', nsp: this.#nsp, pid } as const
    this.#packets.recovery.tell(data === undefined ? message : { ...message, data: writeData(pid, data) })
  }

  restore(pid: string, offset: string): Promise<Session | null> {
    if (!this.times || this.#returning.has(pid)) return Promise.resolve(null)
    const returning: Returning = { offset, restored: undefined, rooms: new Set(), since: [], timer: undefined }
    this.#returning.set(pid, returning)
    return new Promise((resolve) => {
      const onAgain = () => {
        returning.since = []
      }
      this.#packets.recovery.restore(this.#nsp, pid, offset, onAgain, (restored) => {
        if (!restored) {
          this.#returning.delete(pid)
          resolve(null)
          return
        }
        const { sid, rooms, data } = restored.session
        const typed = rooms.map(roomOf)
        returning.restored = restored
        returning.rooms = new Set(typed)
        // It has all of others up to here, when it has got these.
        const { hub } = this.#packets.recovery.position
        returning.since = returning.since
          .filter(({ body }) => this.#concerns(returning, body.opts))
          .map(({ body, position }) => ({ body, position: { ...position, hub } }))
        this.#restored.set(sid, pid)
        // A middleware that never calls back must not have all packets kept for ever.
        returning.timer = after(this.times?.session ?? 0, () => this.#giveBack(pid))?.unref()
        // What it missed follows when it is connected: then a connection that is lost on the way loses nothing.
        resolve({ sid, pid, rooms: typed as string[], data: this.#readData(data), missedPackets: [] })
      })
    })
  }

  close(): void {
    for (const { timer } of this.#returning.values()) clearTimeout(timer)
    this.#returning.clear()
    this.#restored.clear()
    this.#open.clear()
  }

  // Within

  #connected(socket: Socket, outlet: Outlet): void {
    const { id } = socket
    // Socket.IO declares it private.
    const { pid } = socket as unknown as { pid: string | undefined }
    // It has come from another process.
    if (pid === undefined || this.#open.has(id)) return
    if (!socket.recovered) {
      const { recovery } = this.#packets
      const rooms = Array.from(socket.rooms, roomKey)
      const session = { pid, sid: id, at: recovery.offset, rooms, data: writeData(id, socket.data) }
      recovery.tell({ t: 'session', nsp: this.#nsp, ...session })
      this.#open.set(id, pid)
      return
    }
    const returning = this.#returning.get(pid)
    if (!returning?.restored || this.#restored.get(id) !== pid) {
      // It took too long, and its session was given back. It may come for it again.
      socket.conn.close()
      return
    }
    this.#open.set(id, pid)
    this.#settle(pid, returning)
    for (const { packet, position } of missedBy(returning)) {
      this.#deliver(socket, () => outlet.dataOf(readBody(packet, undefined)), position)
    }
    for (const { body, position } of returning.since) this.#deliver(socket, () => outlet.dataOf(body), position)
  }

  /** What the client missed was kept unread, whoever sent it. */
  #deliver(socket: Socket, read: () => unknown[], position: Position): void {
    let data: unknown[]
    try {
      data = read()
    } catch (error) {
      this.#packets.unreadable('A packet that a client of Socket.IO missed', error)
      return
    }
    sendEvent(socket, [...data, writePosition(position)])
  }

  #settle(pid: string, returning: Returning): void {
    clearTimeout(returning.timer)
    this.#returning.delete(pid)
    const session = returning.restored?.session
    if (!session) return
    this.#restored.delete(session.sid)
    // The hub counted these as held here; the socket's own joins, and leaves, are told by now.
    this.#packets.tellRooms(this.#nsp, { sockets: false, leave: session.rooms })
  }

  #giveBack(pid: string): void {
    const returning = this.#returning.get(pid)
    if (!returning) return
    this.#settle(pid, returning)
    this.#packets.recovery.tell({ t: 'session-away', nsp: this.#nsp, pid })
  }

  #keep(returning: Returning, body: ReadBody): void {
    if (returning.restored && !this.#concerns(returning, body.opts)) return
    returning.since.push({ body, position: this.#packets.recovery.position })
  }

  #concerns(returning: Returning, { rooms, except }: BroadcastOptions): boolean {
    const sid = returning.restored?.session.sid ?? ''
    const own: ReadonlySet<unknown> = this.#adapter.sids.get(sid) ?? returning.rooms
    const isIn = (room: unknown) => own.has(room)
    return (rooms.size === 0 || [...rooms].some(isIn)) && ![...(except ?? [])].some(isIn)
  }

  #readData({ text, bytes }: SessionData): unknown {
    try {
      return readList(text, bytes === undefined ? undefined : Buffer.from(bytes, 'base64'))[0]
    } catch (error) {
      this.#packets.unreadable('The data of a session of Socket.IO', error)
      return {}
    }
  }

  #pidOf(id: string): string | undefined {
    return this.#open.get(id) ?? this.#restored.get(id)
  }

  #moved(pid: string, change: { join?: string[]; fresh?: boolean; leave?: string[] }): void {
    const { recovery } = this.#packets
    recovery.tell({ t: 'session-rooms', nsp: this.#nsp, pid, at: recovery.offset, ...change })
  }
}

/** What a client missed. How far it has got is said in the order of the process that it was connected to before. */
function missedBy({ offset, restored }: Returning): { packet: MissedPacket; position: Position }[] {
  const from = readPosition(offset)
  if (!from || !restored) return []
  return restored.missed.map((packet) => ({ packet, position: { ...from, hub: packet.hub } }))
}

/** A socket's `data` for the hub. It never throws: what cannot travel stays behind. */
function writeData(id: string, data: unknown): SessionData {
  try {
    return written(data)
  } catch (error) {
    warnOfData(id, 'a client that comes back finds {} in its place', error)
    return written({})
  }
}

function written(data: unknown): SessionData {
  const { text, bytes } = listOf([data], 'the data of a socket')
  return bytes ? { text, bytes: Buffer.from(bytes).toString('base64') } : { text }
}
