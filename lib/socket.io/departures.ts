import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import type { Socket } from 'socket.io'
import { surface } from '../emitter.js'
import { FAILED, type Handover, type HandoverToMember, RELEASED } from '../handover.js'
import type { Member } from '../member.js'
import { Pace } from '../pace.js'
import type { Origin } from '../packets.js'
import { writePosition } from '../wire/position.js'
import type { Details } from './details.js'
import type { Doors } from './doors.js'
import { missingBeats } from './heartbeats.js'
import { hasDefaultParser } from './private.js'
import { acknowledged, isAwaited } from './private-acks.js'
import {
  type Conn,
  connectionsOf,
  forgetDeparted,
  hold,
  isPolling,
  onSession,
  type Part,
  readiness,
  requestState,
  take,
} from './private-engine.js'
import {
  begunPacket,
  type ClientOf,
  clientOf,
  divert,
  isComing,
  makeStandIn,
  socketsOf,
  tellGone,
} from './private-sockets.js'
import { roomKey } from './room-key.js'
import { pack, type SessionState, type SocketState, socketState, unpack } from './session-state.js'
import type { Shadow } from './shadows.js'
import type { AnyServer } from './types.js'
import type { Whereabouts } from './whereabouts.js'

/** How often it is looked whether a session can move, in milliseconds. */
const LOOK = 5
/** How long a client may take for an acknowledgement that it does not give at once, in milliseconds. */
const ACK_PATIENCE = 1000

const SERVED = 'handover'
const LOST = 'transport close'

/** Why sessions stay that could have gone: nobody has offered to take them, or that was not the reason. */
export const UNANSWERED = 'the process that takes over has told of no Socket.IO server within handoverTimeout'
export const GONE = 'the process that takes over is gone'
const LATE = 'it was not at a point where it could move within handoverTimeout'

/** A session that another process takes over. */
interface Departure {
  readonly to: number
  /** Of the session. */
  readonly id: string
  readonly sockets: readonly Socket[]
  readonly states: readonly SocketState[]
  readonly shadows: readonly Shadow[]
  /**
   * What the hub has sent here for it until it says so goes on to the other; then only what that one sent. Set to the
   * hub's sequence of that moment.
   */
  movedAt: number | undefined
  /** How far its client is in what that one sent. */
  passedOn: number
  /** The other one has it, and the application knows. */
  settled: boolean
  readonly onSettled: () => void
  /** The other one has been asked whether the client has got all that it was sent from here; and has said so. */
  listens: boolean
  heard: boolean
}

/** Gives the sessions of this process to another one, without their clients noticing. */
export class Departures {
  readonly #io: AnyServer
  readonly #member: Member
  readonly #doors: Doors
  readonly #whereabouts: Whereabouts
  readonly #onHandover: (socket: Socket) => unknown
  readonly #departures = new Map<number, Departure>()
  readonly #gone = new Set<number>()
  #last = 0

  constructor(
    io: AnyServer,
    member: Member,
    doors: Doors,
    whereabouts: Whereabouts,
    onHandover: (socket: Socket) => unknown,
  ) {
    this.#io = io
    this.#member = member
    this.#doors = doors
    this.#whereabouts = whereabouts
    this.#onHandover = onHandover
  }

  /**
   * Resolves when all that can go has gone, and all that was going on for it here is over. `refused`: why the other process
   * takes none; undefined where it does.
   */
  async run({ successor, within, signal }: Handover, refused: Promise<string | undefined>): Promise<void> {
    const to = successor.address
    const pace = new Pace(this.#member.handles, within)
    const end = performance.now() + within
    const { http } = this.#member
    const held = new Map<Conn, () => void>()
    const reasons = new Map<Conn, string>()
    let told = false
    let otherwise = UNANSWERED
    // At once when the time is up: this process ends then.
    const report = () => {
      if (told) return
      told = true
      this.#report(reasons, this.#gone.has(to) ? GONE : otherwise)
      // Where a request could not be passed on to the other process.
      onSession(this.#io, () => this.#member.tell({ t: 'unmoved', count: 1 }))
    }
    signal.addEventListener('abort', report, { once: true })
    const why = await refused
    otherwise = why ?? LATE
    if (why !== undefined) report()
    const isOver = () => told || signal.aborted || this.#gone.has(to)
    while (!isOver()) {
      // What has been read is dispatched then.
      await turn()
      let taken = 0
      // One that is about to be opened here.
      let waiting = http?.isBusyWith(undefined) ? 1 : 0
      const all = connectionsOf(this.#io)
      for (const [index, conn] of all.entries()) {
        if (reasons.has(conn)) continue
        while (!isOver() && !pace.allows) await pace.next(all.length - index)
        if (isOver()) break
        const client = clientOf(conn)
        const state = readiness(conn)
        const reason = typeof state === 'object' ? state.never : this.#reasonToStay(conn, client)
        if (reason !== undefined) {
          reasons.set(conn, reason)
          continue
        }
        if (state === 'upgrading') {
          // Its client goes on when what it has posted is answered.
          held.get(conn)?.()
          held.delete(conn)
          waiting++
          continue
        }
        if (state === 'writing' && !held.has(conn)) held.set(conn, hold(conn))
        if (isPolling(conn) && http?.isBusyWith(conn.id)) {
          // What comes behind the request in progress waits for the other process.
          if (!held.has(conn)) held.set(conn, this.#holdRequests(conn))
          waiting++
          continue
        }
        const begun = state === 'ready' && !isComing(conn) ? begunPacket(client) : undefined
        if (!begun) {
          waiting++
          continue
        }
        held.delete(conn)
        taken++
        this.#depart(conn, client, begun, to, end, pace)
      }
      if (waiting === 0 && taken === 0) break
      if (taken === 0) await pace.news()
    }
    for (const release of held.values()) release()
    report()
    signal.removeEventListener('abort', report)
    while (!signal.aborted && this.#isBusy(within)) await sleep(LOOK)
  }

  receive(message: Extract<HandoverToMember, { t: 'moved' | 'passed' }>): void {
    const departure = this.#departures.get(message.n)
    if (!departure) return
    if (message.t === 'moved') {
      departure.movedAt = message.hub
      if (!message.taken) this.#lose(departure, true)
      return
    }
    if (message.from !== departure.to) return
    switch (message.op) {
      case 'adopted':
        // All that it sent before has come, and what it sends from now on it delivers itself.
        this.#leave(departure)
        this.#pass(departure.to, message.n, RELEASED)
        this.#whereabouts.settle(departure.id, { at: departure.to })
        break
      case 'connected':
        this.#settle(departure, SERVED)
        break
      case FAILED:
        this.#settle(departure, LOST)
        break
      case 'heard':
        departure.heard = true
        break
      case 'ack': {
        const { nsp, id, data } = unpack(message.data ?? { text: '' }) as { nsp: string; id: number; data: unknown[] }
        const socket = departure.sockets.find((one) => one.nsp.name === nsp)
        if (socket && Array.isArray(data)) acknowledged(socket, id, data)
      }
    }
  }

  /** That incarnation is no more: what it was given is lost. */
  gone(address: number): void {
    this.#gone.add(address)
    for (const departure of this.#departures.values()) {
      if (departure.to === address && !departure.settled) this.#lose(departure, false)
    }
  }

  #reasonToStay(conn: Conn, client: ClientOf | undefined): string | undefined {
    if (isPolling(conn) && !this.#member.http) return 'it polls, and its requests do not come by hub.serve()'
    // It keeps what has come in part to itself.
    if (client && !hasDefaultParser(this.#io.sockets)) return 'the parser of its packets is not that of Socket.IO'
    return undefined
  }

  #holdRequests({ id }: Conn): () => void {
    this.#whereabouts.hold(id, { polls: false })
    return () => this.#whereabouts.forget(id)
  }

  #depart(conn: Conn, client: ClientOf | undefined, begun: Part[], to: number, end: number, pace: Pace): void {
    const n = ++this.#last
    const { id } = conn
    const polls = isPolling(conn)
    // What the application sends when it is asked moves, too; and what it disconnects does not.
    const release = hold(conn)
    const asked = (client ? socketsOf(client) : []).map((socket) => ({ socket, app: this.#ask(socket) }))
    if (conn.readyState !== 'open') {
      release()
      this.#whereabouts.forget(id)
      return
    }
    const still = asked.filter(({ socket }) => socket.connected)
    const sockets = still.map(({ socket }) => socket)
    const states = still.map(({ socket, app }) => socketState(socket, pidOf(socket), app))
    const send = (packet: Part[]) => this.#pass(to, n, 'write', packet)
    // Without a namespace nobody here knows the session but Socket.IO's own timer.
    const close = () => client && this.#pass(to, n, 'close', undefined)
    const request = requestState(conn)
    const taken = take(this.#io, conn, send, close)
    if (!taken) return
    if (polls) this.#whereabouts.hold(id, { polls: false })
    if (client) divert(client, send)
    const shadows: Shadow[] = []
    const progress = { movedAt: undefined, passedOn: 0, settled: false, listens: false, heard: false }
    const departure: Departure = { to, id, sockets, states, shadows, ...progress, onSettled: pace.taken() }
    this.#departures.set(n, departure)
    sockets.forEach((socket, i) => {
      const state = states[i]
      if (state) shadows.push(this.#shadow(n, departure, socket, state))
    })
    const { handle, unread, unsent } = taken
    const within = Math.max(0, end - performance.now())
    const session = { id, request, polls, missingBeats: missingBeats(conn), within }
    const state: SessionState = { ...session, sockets: states, begun, unread, unsent }
    const moving = states.map(({ nsp, pid, rooms }) => ({ nsp, pid, rooms: rooms.map(roomKey) }))
    this.#member.tell({ t: 'move', to, n, polls, sockets: moving, state: pack(state) })
    if (!handle) return
    // Behind what is told in this turn: what follows a handle waits until that is taken.
    queueMicrotask(() => this.#member.handles.add({ body: JSON.stringify({ t: 'take', to, n }), handle }))
  }

  #shadow(n: number, departure: Departure, socket: Socket, state: SocketState): Shadow {
    const { to } = departure
    const { id, nsp } = state
    const rooms = new Set(state.rooms)
    const handshake = socket.handshake
    const order = (op: string, more: object) => this.#pass(to, n, op, { nsp, ...more })
    const join = (joined: readonly unknown[]) => {
      for (const room of joined) rooms.add(room)
      order('join', { rooms: [...joined] })
    }
    const leave = (left: readonly unknown[]) => {
      for (const room of left) rooms.delete(room)
      order('leave', { rooms: [...left] })
    }
    const disconnect = (close: boolean) => order('disconnect', { close })
    const { recovery } = this.#member.packets
    // What this process sends from now on reaches the client by the other one, behind what is passed on.
    const { origin: own, local: last } = recovery.position
    const offsetAt = ({ address, local }: Origin) => {
      const { movedAt } = departure
      if (movedAt === undefined) return writePosition({ origin: own, hub: recovery.position.hub, local: last })
      departure.passedOn = Math.max(departure.passedOn, local)
      return writePosition({ origin: address, hub: movedAt, local: departure.passedOn })
    }
    const door = this.#doors.of(nsp)
    door?.depart({ id, pid: state.pid, rooms: new Set(state.rooms) })
    makeStandIn(socket, { rooms, join, leave, disconnect })
    const shadow: Shadow = {
      id,
      rooms,
      socket,
      hears: (from) => from !== undefined && (departure.movedAt === undefined || from === to),
      offsetAt,
      // Behind nothing that this process sends meanwhile: the hub had it before.
      write: (packet) => this.#pass(to, n, 'relay', [...packet]),
      join,
      leave,
      disconnect,
      details: () => ({ id, handshake, rooms: [...rooms], data: socket.data }) as Details,
    }
    door?.shadows.add(shadow)
    return shadow
  }

  #ask(socket: Socket): unknown {
    try {
      return this.#onHandover(socket)
    } catch (error) {
      surface(error)
      return undefined
    }
  }

  /** Nothing that comes here is for it any more. */
  #leave({ states, shadows }: Departure): void {
    states.forEach(({ nsp, rooms }, i) => {
      const door = this.#doors.of(nsp)
      const shadow = shadows[i]
      if (!shadow) return
      door?.shadows.remove(shadow)
      door?.forget(rooms)
    })
    ;(shadows as Shadow[]).length = 0
  }

  #settle(departure: Departure, reason: string): void {
    if (departure.settled) return
    departure.settled = true
    departure.onSettled()
    for (const socket of departure.sockets) {
      try {
        tellGone(socket, reason)
      } catch (error) {
        surface(error)
      }
    }
  }

  /** `own`: the hub knows its clients as this process's. */
  #lose(departure: Departure, own: boolean): void {
    this.#leave(departure)
    forgetDeparted(this.#io, departure.id)
    this.#whereabouts.forget(departure.id)
    for (const { nsp, pid, data, id } of departure.states) {
      const door = this.#doors.of(nsp)
      if (own) door?.lose(pid, data ?? {})
      door?.gone(id)
    }
    this.#settle(departure, LOST)
  }

  /** What has been waited for as long as `within`, in milliseconds, is not any more. */
  #isBusy(within: number): boolean {
    let isBusy = false
    for (const [n, departure] of this.#departures) {
      const { settled, sockets, to, heard } = departure
      if (!settled) return true
      if (this.#gone.has(to)) continue
      const patience = { owed: within, asked: heard ? ACK_PATIENCE : within }
      if (!sockets.some((socket) => isAwaited(socket, patience))) continue
      isBusy = true
      if (!departure.listens) this.#pass(to, n, 'hear')
      departure.listens = true
    }
    return isBusy
  }

  /** Says once why some stay. */
  #report(reasons: ReadonlyMap<Conn, string>, otherwise: string): void {
    const stayed = connectionsOf(this.#io)
    if (stayed.length === 0) return
    const why = new Map<string, number>()
    for (const conn of stayed) {
      const reason = reasons.get(conn) ?? otherwise
      why.set(reason, (why.get(reason) ?? 0) + 1)
    }
    this.#member.tell({ t: 'unmoved', count: stayed.length })
    const list = [...why].map(([reason, count]) => `${count}: ${reason}`).join('; ')
    const who = stayed.length === 1 ? '1 session of Socket.IO' : `${stayed.length} sessions of Socket.IO`
    process.emitWarning(`${who} could not be handed over, and will connect anew. ${list}.`, {
      type: 'Hubwire',
      code: 'ERR_HUB_SOCKET_IO',
    })
  }

  #pass(to: number, n: number, op: string, value?: unknown): void {
    if (this.#member.closed || this.#gone.has(to)) return
    this.#member.tell({ t: 'pass', to, n, op, ...(value !== undefined && { data: pack(value) }) })
  }
}

function pidOf(socket: Socket): string | undefined {
  return (socket as unknown as { pid?: string }).pid
}
