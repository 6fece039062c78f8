import { EventEmitter } from 'node:events'
import type { Namespace, Socket } from 'socket.io'
import { invalid } from '../errors.js'
import type { RecoveryTimes } from '../recovery.js'
import { EVENT } from './body.js'
import { type Conn, connOf, type Part } from './private-engine.js'
import type { Adapter, AdapterClass, AnyServer, BroadcastOptions, Packet } from './types.js'

/**
 * All that reaches into what Socket.IO keeps to itself, in one place. Checked against socket.io 4.7.3, 4.7.5, 4.8.1
 * and 4.8.4 with socket.io-adapter 2.5.2 and 2.5.8. What is not found warns once, and the public way is taken: slower, not wrong.
 */

/** What engine.io takes beside a packet. */
interface PacketOptions {
  preEncoded: true
  volatile: boolean | undefined
  compress: boolean | undefined
  /** The buffers of one WebSocket frame. */
  wsPreEncodedFrame?: unknown
}

interface InnerSocket {
  readonly acks: Map<number, (value: unknown) => void>
  notifyOutgoingListeners?(packet: Packet): void
  packet?(packet: Packet): void
  readonly client: { writeToEngine(packets: Encoded, options: PacketOptions): void }
}

interface InnerAdapter {
  _encode?(packet: unknown, options: PacketOptions): Encoded
}

/** An encoded packet: a text, and its binary parts. */
export type Encoded = readonly (string | Uint8Array)[]

/** Bytes of a frame above which a vector of two is as good. */
const MAX_COPIED = 65_536

const warned = new Set<string>()

function missing(what: string): void {
  if (warned.has(what)) return
  warned.add(what)
  process.emitWarning(
    `This version of socket.io has no ${what}: packets take a slower way. Update hubwire, or install socket.io 4.8.`,
    { type: 'Hubwire', code: 'ERR_HUB_SOCKET_IO' },
  )
}

// Casts below: these members are declared private, or not at all.

/** Undefined where what it returned cannot be written as it is. */
export function encode(nsp: Namespace, packet: Packet): Encoded | undefined {
  const { encoder } = nsp.server
  if (typeof encoder?.encode === 'function') return encoder.encode(packet as never) as Encoded
  missing('server.encoder')
  return undefined
}

/** Whether packets are texts of Socket.IO's own protocol, which every server without a parser of its own can write. */
export function hasDefaultParser(nsp: Namespace): boolean {
  const { _opts: options } = nsp.server
  return options !== undefined && options.parser === undefined
}

/**
 * For how long sessions and packets are kept, where connection state recovery is on. A client may have got nothing for
 * as long as it takes to notice that it is away: packets are kept longer by that.
 */
export function recoveryTimes(server: AnyServer): RecoveryTimes | undefined {
  const { connectionStateRecovery, pingInterval = 25_000, pingTimeout = 20_000 } = server._opts ?? {}
  const session = connectionStateRecovery?.maxDisconnectionDuration
  return session === undefined ? undefined : { session, packets: session + pingInterval + pingTimeout }
}

/** Sends an event to one socket, past the adapter. */
export function sendEvent(socket: Socket, data: unknown[]): void {
  const inner = socket as unknown as InnerSocket
  if (typeof inner.packet === 'function') inner.packet({ type: EVENT, data })
  else missing('socket.packet')
}

/**
 * What is written to each of the sockets beside the packet. One text is framed for WebSocket once instead of for each
 * client, as the in-memory adapter does.
 */
export function packetOptions(adapter: Adapter, encoded: Encoded, flags: BroadcastOptions['flags']): PacketOptions {
  const options: PacketOptions = { preEncoded: true, volatile: flags?.volatile, compress: flags?.compress }
  if (encoded.length > 1 || typeof encoded[0] !== 'string') return options
  const frame = (Object.getPrototypeOf(adapter) as InnerAdapter)._encode
  if (typeof frame === 'function') frame.call({ encoder: { encode: () => encoded } } as never, undefined, options)
  else missing('adapter._encode')
  options.wsPreEncodedFrame = inOnePiece(options.wsPreEncodedFrame)
  return options
}

/**
 * A frame's header and payload as one buffer: `ws` then writes it by a plain write, instead of a vector of two, which
 * costs more for each client than the copy costs once.
 */
function inOnePiece(frame: unknown): unknown {
  if (!Array.isArray(frame) || frame.length < 2 || !frame.every((part) => part instanceof Uint8Array)) return frame
  return frame.reduce((size, { byteLength }) => size + byteLength, 0) > MAX_COPIED ? frame : [Buffer.concat(frame)]
}

/** Writes an encoded packet to a socket. False when it cannot be written so. */
export function write(socket: Socket, encoded: Encoded, options: PacketOptions, packet: () => Packet): boolean {
  const inner = socket as unknown as InnerSocket
  if (typeof inner.client?.writeToEngine !== 'function') {
    missing('client.writeToEngine')
    return false
  }
  // The packet is decoded only for those who listen.
  if (socket.listenersAnyOutgoing().length > 0) inner.notifyOutgoingListeners?.(packet())
  inner.client.writeToEngine(encoded, options)
  return true
}

/** Calls back when the socket acknowledges that packet. */
export function expectAck(socket: Socket, id: number, callback: (value: unknown) => void): void {
  ;(socket as unknown as InnerSocket).acks?.set(id, callback)
  asked.set(callback, performance.now())
}

export function forgetAck(socket: Socket, id: number): void {
  ;(socket as unknown as InnerSocket).acks?.delete(id)
}

/**
 * Calls back when the namespace, whose adapter is made with it, has all that it is made with. Older versions give a
 * dynamic one the middlewares of its parent, in place of any that it has.
 */
export function whenMade(nsp: Namespace, callback: () => void): void {
  const { server } = nsp
  if (server._nsps.has(nsp.name)) callback()
  else server.once('new_namespace', callback)
}

/** Calls the listeners of another server's `serverSideEmit`. */
export function serverSideEmitted(nsp: Namespace, args: unknown[]): void {
  if (typeof nsp._onServerSideEmit === 'function') nsp._onServerSideEmit(args as [string, ...unknown[]])
  else missing('namespace._onServerSideEmit')
}

/**
 * The in-memory adapter that this very Socket.IO uses, without its own memory for recovery. It is found by what the
 * server has, because socket.io does not export it; not by its name, which bundlers change.
 */
export function adapterClass(io: AnyServer): AdapterClass {
  let found = Object.getPrototypeOf(io.sockets.adapter)
  for (let next = found; next && next !== EventEmitter.prototype; next = Object.getPrototypeOf(next)) {
    found = next
  }
  if (typeof found?.addAll !== 'function' || typeof found.broadcastWithAck !== 'function') {
    throw invalid('attachSocketIo(): socket.io has no in-memory adapter to build on. Install socket.io 4.7 or 4.8.')
  }
  return found.constructor as AdapterClass
}

// Sockets that move to another process

/** What we use of a client: one connection, with its sockets. */
export interface ClientOf {
  readonly conn: Conn
  readonly sockets: Map<string, Socket>
  readonly nsps?: Map<string, Socket>
  readonly decoder?: { reconstructor?: { reconPack?: ReconPack; buffers?: Buffer[] } | null }
  writeToEngine(packets: Encoded | string, options: PacketOptions): void
}

interface ReconPack {
  type: number
  nsp: string
  id?: number
  data: unknown
  attachments: number
}

type Connected = (socket: Socket) => void

interface InnerNamespace {
  _ids?: number
  run?(socket: Socket, done: (error?: unknown) => void): void
  _add(client: ClientOf, auth: unknown, done?: Connected): Promise<unknown>
  _createSocket?(client: ClientOf, auth: unknown): Promise<Socket>
  _doConnect?(socket: Socket, done?: Connected): void
}

interface MovingSocket {
  id: string
  pid: string | undefined
  recovered: boolean
  connected: boolean
  data: unknown
  handshake: unknown
  adapter: Adapter
  readonly acks: Map<number, object>
  _onconnect(): void
  registerAckCallback?(id: number, callback: unknown): void
  _onpacket(packet: { type: number; id: number; data: unknown[] }): void
  onack(packet: { id: number; data: unknown[] }): void
  ack(id: number): (...args: unknown[]) => void
  disconnect(close?: boolean): Socket
  _onclose(reason: string): void
  emitReserved(event: string, ...args: unknown[]): void
}

/** Socket.IO's types of packets. */
const CONNECT = 0
const ACK = 3
const BINARY_EVENT = 5
const BINARY_ACK = 6

/** So many packets with acknowledgement a process can send in one namespace before it uses the numbers of the next. */
const ACKS = 2 ** 28

/** Acknowledgements for another process must not be taken for those of this one. */
export function numberAcks(nsp: Namespace, address: number): void {
  const inner = nsp as unknown as InnerNamespace
  if (typeof inner._ids === 'number') inner._ids = Math.max(inner._ids, address * ACKS)
}

/** Of one socket, so many acknowledgements that it owes are known. */
const MAX_OWED = 1000

/** Clients by their connections, as far as they have come to a namespace; and how many namespaces they come to just now. */
const clients = new WeakMap<Conn, ClientOf>()
const coming = new WeakMap<Conn, number>()
/** When the packets came whose acknowledgements sockets of this process have not given yet. */
const owed = new WeakMap<Socket, Set<{ since: number }>>()
/** When those packets were sent that are to be acknowledged, by the callbacks. */
const asked = new WeakMap<object, number>()

/** Calls `adopt` for clients that come to the namespace; where that returns undefined, they come as usual. */
export function watchNamespace(
  nsp: Namespace,
  adopt: (client: ClientOf, done: Connected) => Promise<void> | undefined,
): void {
  const inner = nsp as unknown as InnerNamespace
  const add = inner._add
  if (typeof add !== 'function') return
  inner._add = async function (this: InnerNamespace, client, auth, done) {
    const { conn } = client
    clients.set(conn, client)
    const connected: Connected = (socket) => {
      countAcks(socket)
      comes(conn, -1)
      done?.(socket)
    }
    const adopted = adopt(client, connected)
    if (adopted) return adopted
    comes(conn, 1)
    return add.call(this, client, auth, connected)
  }
  const { run } = inner
  if (typeof run !== 'function') return
  inner.run = function (socket, done) {
    run.call(this, socket, (error) => {
      // A middleware has refused it.
      if (error) comes(connOf(socket), -1)
      done(error)
    })
  }
}

function comes(conn: Conn, by: 1 | -1): void {
  coming.set(conn, Math.max(0, (coming.get(conn) ?? 0) + by))
}

function countAcks(socket: Socket): void {
  const inner = socket as unknown as MovingSocket
  const { ack, registerAckCallback: register } = inner
  if (typeof ack === 'function') {
    const open = new Set<{ since: number }>()
    owed.set(socket, open)
    inner.ack = function (id) {
      const answer = ack.call(this, id)
      const one = { since: performance.now() }
      open.add(one)
      // Handlers may never give them.
      if (open.size > MAX_OWED) for (const oldest of open) if (open.delete(oldest)) break
      return (...args) => {
        open.delete(one)
        answer(...args)
      }
    }
  }
  if (typeof register === 'function') {
    inner.registerAckCallback = function (id, callback) {
      register.call(this, id, callback)
      const kept = this.acks.get(id)
      if (kept) asked.set(kept, performance.now())
    }
  }
}

/**
 * Whether acknowledgements of the socket are still to come that have not been waited for so long: those that it owes, and
 * those that the client does. In milliseconds.
 */
export function isAwaited(socket: Socket, patience: { owed: number; asked: number }): boolean {
  const now = performance.now()
  for (const { since } of owed.get(socket) ?? []) if (now - since < patience.owed) return true
  for (const callback of (socket as unknown as MovingSocket).acks.values()) {
    if (now - (asked.get(callback) ?? Number.NEGATIVE_INFINITY) < patience.asked) return true
  }
  return false
}

/** Whether a connection's client is on its way into a namespace. */
export function isComing(conn: Conn): boolean {
  return (coming.get(conn) ?? 0) > 0
}

/**
 * The sockets of a client, one for each namespace. A client that came to one twice cannot reach the first socket any
 * more: that is closed.
 */
export function socketsOf(client: ClientOf): Socket[] {
  const all = [...client.sockets.values()]
  const reached = all.filter((socket) => client.nsps?.get(socket.nsp.name) === socket)
  for (const socket of all) {
    if (!reached.includes(socket)) (socket as unknown as MovingSocket)._onclose('transport close')
  }
  return reached
}

/** Undefined when it has not come to any namespace yet. */
export function clientOf(conn: Conn): ClientOf | undefined {
  return clients.get(conn)
}

/** Whether this Socket.IO is one whose sockets can be moved. */
export function canMove(io: AnyServer): boolean {
  const inner = io.sockets as unknown as InnerNamespace
  return (
    typeof inner._createSocket === 'function' &&
    typeof inner._doConnect === 'function' &&
    typeof inner._add === 'function' &&
    typeof inner.run === 'function' &&
    typeof inner._ids === 'number'
  )
}

/** The parts of a packet that has come in part; undefined where they cannot be had: it must be waited for. */
export function begunPacket(client: ClientOf | undefined): Part[] | undefined {
  // There is none before the first binary packet.
  const reconstructor = client?.decoder?.reconstructor
  if (!reconstructor) return []
  const { reconPack, buffers } = reconstructor
  if (!reconPack || !buffers) return undefined
  const { type, nsp, id, data, attachments } = reconPack
  const head = `${type === EVENT ? BINARY_EVENT : BINARY_ACK}${attachments}-${nsp === '/' ? '' : `${nsp},`}${id ?? ''}`
  return [head + JSON.stringify(data), ...buffers]
}

/** What becomes of a socket whose client another process has. */
export interface StandIn {
  readonly rooms: ReadonlySet<unknown>
  join(rooms: readonly unknown[]): void
  leave(rooms: readonly unknown[]): void
  disconnect(close: boolean): void
}

/** Has all that is written to a client go to `send`, whole packets at a time. */
export function divert(client: ClientOf, send: (packet: Part[]) => void): void {
  client.writeToEngine = (packets) => send(Array.isArray(packets) ? [...packets] : [packets as string])
}

/** Makes a stand-in of a socket, which goes on to serve those who still hold it. */
export function makeStandIn(socket: Socket, { rooms, join, leave, disconnect }: StandIn): void {
  const inner = socket as unknown as MovingSocket
  ;(socket.nsp as unknown as { sockets: Map<string, Socket> }).sockets.delete(socket.id)
  const own = {
    addAll: (_: string, joined: ReadonlySet<unknown>) => join([...joined]),
    del: (_: string, room: unknown) => leave([room]),
    delAll: () => leave([...rooms].filter((room) => room !== socket.id)),
    socketRooms: () => new Set(rooms),
    // Only this process can be answered; all else goes by the hub, to whom has the socket.
    broadcast: (packet: Packet, opts: BroadcastOptions) => {
      if (packet.id === undefined) adapter.broadcast(packet, opts)
      else sendPacket(socket, packet)
    },
  }
  const { adapter } = inner
  inner.adapter = new Proxy(adapter, {
    get(target, key) {
      const value = Reflect.get(Object.hasOwn(own, key) ? own : target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  inner.disconnect = (close = false) => {
    disconnect(close)
    return socket
  }
}

function sendPacket(socket: Socket, packet: Packet): void {
  ;(socket as unknown as InnerSocket).packet?.(packet)
}

/** Tells the application that the socket is gone from here. What its handlers still do works all the same. */
export function tellGone(socket: Socket, reason: string): void {
  const inner = socket as unknown as MovingSocket
  inner.emitReserved('disconnecting', reason)
  inner.emitReserved('disconnect', reason)
}

/** The client has acknowledged a packet of this process to the process that has it now. */
export function acknowledged(socket: Socket, id: number, data: unknown[]): void {
  ;(socket as unknown as MovingSocket)._onpacket({ type: ACK, id, data })
}

/** What a client would send to come to a namespace. */
export function connectParts(nsp: Namespace): Encoded {
  return encode(nsp, { type: CONNECT, nsp: nsp.name, data: {} as unknown[] }) ?? []
}

/** Acknowledgements that are not for this process go to `otherwise`. */
export function divertAcks(socket: Socket, otherwise: (id: number, data: unknown[]) => void): void {
  const inner = socket as unknown as MovingSocket
  const { onack } = inner
  inner.onack = function (packet) {
    if (this.acks.has(packet.id)) onack.call(this, packet)
    else otherwise(packet.id, packet.data)
  }
}

/**
 * A socket as it was in another process. `connected` is called when it is one of its namespace, and before the
 * application is told.
 */
export async function reviveSocket(
  nsp: Namespace,
  client: ClientOf,
  done: Connected,
  state: { id: string; pid: string | undefined; data: unknown; handshake: unknown },
  connected: (socket: Socket) => void,
): Promise<void> {
  const inner = nsp as unknown as InnerNamespace
  const socket = await inner._createSocket?.(client, {})
  if (!socket) return
  const revived = socket as unknown as MovingSocket
  const { id, pid, data, handshake } = state
  Object.assign(revived, { id, pid, data, recovered: true })
  if (handshake !== undefined) revived.handshake = handshake
  revived._onconnect = () => {
    Reflect.deleteProperty(revived, '_onconnect')
    revived.connected = true
    connected(socket)
  }
  inner._doConnect?.(socket, done)
}

/** Has a namespace that is made when it is asked for be made, if it may be. */
export function makeNamespace(io: AnyServer, name: string): void {
  if (!io._nsps.has(name)) io._checkNamespace(name, {}, () => {})
}
