import type { Namespace, Socket } from 'socket.io'
import { surface } from '../emitter.js'
import { FAILED, type HandoverToMember, RELEASED } from '../handover.js'
import { isRawHandle, type RawHandle, wrap } from '../http/raw-handle.js'
import type { Member } from '../member.js'
import { after } from '../timers.js'
import type { Handle } from '../wire/transport.js'
import type { Details } from './details.js'
import type { Doors } from './doors.js'
import { countBeats, whenHeard } from './heartbeats.js'
import { divertAcks } from './private-acks.js'
import type { Conn, Part } from './private-engine.js'
import { type Opened, openMoved } from './private-opening.js'
import { type ClientOf, connectParts, reviveSocket } from './private-sockets.js'
import { pack, type SessionState, type SocketState, unpack } from './session-state.js'
import type { Shadow } from './shadows.js'
import type { AnyServer } from './types.js'
import type { Whereabouts } from './whereabouts.js'

/**
 * How long a session's connection may take to come when the process that had it is gone; and how long it is kept when it
 * has come before the word of it. In milliseconds.
 */
const PATIENCE = 30_000

const LATE = 'it was not open within handoverTimeout'

/** What a socket was given by the process that had it before. */
export interface Handover {
  /** What `onHandover` returned there. */
  readonly state: unknown
}

const handovers = new WeakMap<Socket, Handover>()

/** Undefined for sockets that have connected here. */
export function handoverOf(socket: object): Handover | undefined {
  return handovers.get(socket as Socket)
}

/** A session that comes from another process. */
interface Arrival {
  readonly from: number
  readonly n: number
  readonly state: SessionState
  readonly shadows: Map<string, Shadow>
  /** By namespace: the rooms that the hub counts for it. */
  readonly counted: Map<string, unknown[]>
  /** What others had sent before it moved goes first, then what has been sent since. */
  readonly before: Part[][]
  readonly since: Part[][]
  /** Orders that need the socket. */
  readonly later: (() => void)[]
  handle: RawHandle | undefined
  /** The process that had it passes on no more of what others send. */
  released: boolean
  opening: boolean
  ended: boolean
  conn: Conn | undefined
  readonly sockets: Map<string, Socket>
  readonly arrived: Promise<void>
  readonly onArrived: () => void
}

/** Takes sessions over from other processes. */
export class Arrivals {
  readonly #io: AnyServer
  readonly #member: Member
  readonly #doors: Doors
  readonly #whereabouts: Whereabouts
  readonly #arrivals = new Map<string, Arrival>()
  readonly #byConn = new Map<Conn, Arrival>()
  /** Those that have come before the word of them. */
  readonly #handles = new Map<string, RawHandle>()

  constructor(io: AnyServer, member: Member, doors: Doors, whereabouts: Whereabouts) {
    this.#io = io
    this.#member = member
    this.#doors = doors
    this.#whereabouts = whereabouts
  }

  receive(
    message: Extract<HandoverToMember, { t: 'moving' | 'taken' | 'passed' | 'lost' }>,
    handle: Handle | undefined,
  ): void {
    const key = `${message.from} ${message.n}`
    const arrival = this.#arrivals.get(key)
    switch (message.t) {
      case 'moving':
        this.#expect(key, message)
        break
      case 'taken':
        if (!isRawHandle(handle)) handle?.close()
        else if (!arrival) this.#keepEarly(key, handle)
        else if (arrival.ended || arrival.handle) handle.close()
        else {
          arrival.handle = handle
          this.#open(arrival)
        }
        break
      case 'passed':
        if (arrival) this.#obey(arrival, message.op, message.data && unpack(message.data))
        break
      case 'lost':
        if (arrival) this.#fail(arrival, true)
    }
  }

  /** That incarnation passes nothing on any more; a connection of it may still be on its way. */
  gone(address: number): void {
    for (const [key, arrival] of this.#arrivals) {
      if (arrival.from !== address) continue
      // Its requests come here by themselves then.
      arrival.arrived.then(() => this.#whereabouts.forget(arrival.state.id))
      if (arrival.conn || arrival.handle) this.#arrivals.delete(key)
      // Its connection may still be on its way.
      else setTimeout(() => this.#arrivals.delete(key), PATIENCE).unref()
      if (arrival.conn || arrival.ended) continue
      arrival.released = true
      this.#open(arrival)
      if (!arrival.opening) setTimeout(() => arrival.handle || this.#giveUp(arrival), PATIENCE).unref()
    }
  }

  /** Whether the client is one of a session that moves; then it comes to the namespace as the socket that it was. */
  adopt(nsp: Namespace, client: ClientOf, done: (socket: Socket) => void): Promise<void> | undefined {
    const arrival = this.#byConn.get(client.conn)
    const state = arrival?.state.sockets.find((one) => one.nsp === nsp.name)
    if (!arrival || !state || arrival.sockets.has(nsp.name)) return undefined
    const revive = async () => {
      await reviveSocket(nsp, client, done, state, (socket) => {
        handovers.set(socket, Object.freeze({ state: state.app }))
        Object.defineProperty(socket, 'handover', { value: handovers.get(socket), configurable: true })
        // Not the whole arrival, for as long as the socket lives.
        const way = { from: arrival.from, n: arrival.n }
        divertAcks(socket, (id, data) => this.#pass(way, 'ack', { nsp: nsp.name, id, data }))
        this.#connect(arrival, state, socket)
      })
    }
    return revive()
  }

  // Within

  #keepEarly(key: string, handle: RawHandle): void {
    this.#handles.set(key, handle)
    setTimeout(() => {
      if (this.#handles.get(key) !== handle) return
      this.#handles.delete(key)
      handle.close()
    }, PATIENCE).unref()
  }

  #expect(key: string, { from, n, state: packed }: Extract<HandoverToMember, { t: 'moving' }>): void {
    const state = unpack(packed) as SessionState
    let onArrived = () => {}
    const arrived = new Promise<void>((resolve) => {
      onArrived = resolve
    })
    const arrival: Arrival = {
      from,
      n,
      state,
      shadows: new Map(),
      counted: new Map(),
      before: [],
      since: [],
      later: [],
      handle: this.#handles.get(key),
      released: false,
      opening: false,
      ended: false,
      conn: undefined,
      sockets: new Map(),
      arrived,
      onArrived,
    }
    this.#handles.delete(key)
    this.#arrivals.set(key, arrival)
    const { id, polls } = state
    if (polls) {
      this.#whereabouts.hold(id, { polls })
      arrived.then(() => this.#whereabouts.settle(id, 'here'))
      this.#limit(arrival)
    }
    // From here on what comes is for it, and what this process sends: the one that had it hears so.
    for (const socket of state.sockets) this.#shadow(arrival, socket)
    this.#pass(arrival, 'adopted')
  }

  #shadow(arrival: Arrival, { nsp, id, pid, rooms: held, handshake, data }: SocketState): void {
    const door = this.#doors.of(nsp)
    const rooms = new Set(held)
    const counted = [...held]
    arrival.counted.set(nsp, counted)
    const shadow: Shadow = {
      id,
      rooms,
      hears: () => true,
      write: (packet) => this.#write(arrival, [...packet]),
      join: (joined) => {
        for (const room of joined) {
          if (rooms.has(room)) continue
          rooms.add(room)
          counted.push(room)
          door?.joinAhead(pid, room)
        }
      },
      leave: (left) => {
        for (const room of left) if (rooms.delete(room)) door?.leaveAhead(pid, room)
      },
      disconnect: (close) => arrival.later.push(() => arrival.sockets.get(nsp)?.disconnect(close)),
      details: () => ({ id, handshake, rooms: [...rooms], data }) as Details,
      arrived: arrival.arrived,
    }
    arrival.shadows.set(nsp, shadow)
    door?.shadows.add(shadow)
  }

  #write(arrival: Arrival, packet: Part[]): void {
    if (arrival.conn) writeParts(arrival.conn, packet)
    else arrival.since.push(packet)
  }

  /** What the process that had it says. */
  #obey(arrival: Arrival, op: string, data: unknown): void {
    if (arrival.ended) return
    const { nsp = '', rooms = [], close = false } = (data ?? {}) as { nsp?: string; rooms?: unknown[]; close?: boolean }
    const socket = arrival.sockets.get(nsp)
    switch (op) {
      case 'write':
        this.#write(arrival, data as Part[])
        break
      case 'relay':
        if (arrival.conn) writeParts(arrival.conn, data as Part[])
        else arrival.before.push(data as Part[])
        break
      case RELEASED:
        arrival.released = true
        this.#open(arrival)
        break
      case 'join':
        if (socket) socket.join(rooms as string[])
        else arrival.shadows.get(nsp)?.join(rooms)
        break
      case 'leave':
        for (const room of rooms) socket?.leave(room as string)
        if (!socket) arrival.shadows.get(nsp)?.leave(rooms)
        break
      case 'disconnect':
        if (socket) socket.disconnect(close)
        else arrival.shadows.get(nsp)?.disconnect(close)
        break
      case 'hear':
        if (arrival.conn) whenHeard(arrival.conn, () => this.#pass(arrival, 'heard'))
        break
      case 'close':
        if (arrival.conn) arrival.conn.close()
        else arrival.later.push(() => arrival.conn?.close())
    }
  }

  #open(arrival: Arrival): void {
    if (arrival.opening || arrival.ended || !arrival.released) return
    if (!arrival.handle && !arrival.state.polls) return
    arrival.opening = true
    // Not sooner: a connection comes as long as the process that has it lives, and on a busy machine that takes its time.
    if (!arrival.state.polls) this.#limit(arrival)
    this.#bringUp(arrival).catch((error) => {
      this.#fail(arrival)
      warn((error as Error).message)
    })
  }

  /** It is lost unless it is open in time. */
  #limit(arrival: Arrival): void {
    const timer = after(arrival.state.within, () => this.#giveUp(arrival))
    timer?.unref()
    arrival.arrived.then(() => clearTimeout(timer))
  }

  #giveUp(arrival: Arrival): void {
    if (arrival.ended) return
    this.#fail(arrival)
    // Whoever is about to open it finds out, and says so.
    if (!arrival.opening) warn(arrival.state.polls ? LATE : 'its connection has not come')
  }

  async #bringUp(arrival: Arrival): Promise<void> {
    const { id, request, sockets, begun, unread, unsent } = arrival.state
    const raw = arrival.handle && wrap(arrival.handle)
    if (raw) {
      // Who listens to it later is told by its end.
      raw.on('error', () => {})
      this.#member.http?.adopt(raw)
    }
    let opened: Opened | undefined
    let conn: Conn
    try {
      opened = await openMoved(this.#io, id, request, raw)
      if (arrival.ended) throw new Error(LATE)
      if (!opened) throw new Error('this version of engine.io, or of ws, is not one that Hubwire knows')
      conn = opened.conn
      this.#byConn.set(conn, arrival)
      for (const part of unsent) writeParts(conn, [part])
      for (const packet of [...arrival.before, ...arrival.since]) writeParts(conn, packet)
      arrival.conn = conn
      for (const { nsp } of sockets) await this.#comeTo(conn, nsp)
      this.#byConn.delete(conn)
      if (arrival.sockets.size < sockets.length) throw new Error('not all of its namespaces are there')
      for (const part of begun) conn.emit('data', received(part))
      opened.start(Buffer.from(unread))
    } catch (error) {
      if (opened) {
        this.#byConn.delete(opened.conn)
        opened.abandon()
      }
      raw?.destroy()
      throw error
    }
    // One has just been asked for.
    countBeats(conn, arrival.state.missingBeats + 1)
    this.#pass(arrival, 'connected')
    arrival.onArrived()
    for (const order of arrival.later) order()
  }

  async #comeTo(conn: Conn, name: string): Promise<void> {
    const nsp = this.#io._nsps.get(name)
    if (!nsp) return
    const arrival = this.#byConn.get(conn)
    for (const part of connectParts(nsp)) conn.emit('data', received(part))
    // Socket.IO makes the socket in a promise's turn.
    for (let turns = 0; turns < 10 && !arrival?.sockets.has(name); turns++) await undefined
  }

  #connect(arrival: Arrival, { nsp, id, pid }: SocketState, socket: Socket): void {
    const door = this.#doors.of(nsp)
    const shadow = arrival.shadows.get(nsp)
    arrival.sockets.set(nsp, socket)
    if (shadow) {
      door?.shadows.remove(shadow)
      door?.arrive({ id, pid, rooms: shadow.rooms }, arrival.counted.get(nsp) ?? [])
    }
    arrival.shadows.delete(nsp)
  }

  /** `isKnown`: the hub has said so, and knows already that the client is away. It may be back by now. */
  #fail(arrival: Arrival, isKnown = false): void {
    if (arrival.ended) return
    arrival.ended = true
    if (!arrival.opening) arrival.handle?.close()
    for (const { nsp, pid, data } of arrival.state.sockets) {
      const door = this.#doors.of(nsp)
      const shadow = arrival.shadows.get(nsp)
      if (!shadow) continue
      door?.shadows.remove(shadow)
      door?.forget(arrival.counted.get(nsp) ?? [])
      if (!isKnown) door?.lose(pid, data ?? {})
    }
    arrival.shadows.clear()
    arrival.onArrived()
    this.#pass(arrival, FAILED)
  }

  #pass({ from, n }: Pick<Arrival, 'from' | 'n'>, op: string, value?: unknown): void {
    if (this.#member.closed) return
    try {
      this.#member.tell({ t: 'pass', to: from, n, op, ...(value !== undefined && { data: pack(value) }) })
    } catch (error) {
      surface(error)
    }
  }
}

/** Binary parts are Buffers to engine.io. */
function received(part: Part): Part {
  return typeof part === 'string' ? part : Buffer.from(part.buffer, part.byteOffset, part.byteLength)
}

function warn(why: string): void {
  process.emitWarning(`A session of Socket.IO could not be taken over, and will connect anew: ${why}.`, {
    type: 'Hubwire',
    code: 'ERR_HUB_SOCKET_IO',
  })
}

function writeParts(conn: Conn, packet: readonly Part[]): void {
  for (const part of packet) conn.sendPacket('message', received(part))
}
