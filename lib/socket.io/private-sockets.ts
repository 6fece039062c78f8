import type { Namespace, Socket } from 'socket.io'
import { EVENT } from './body.js'
import { type Encoded, encode } from './private.js'
import { countAcks } from './private-acks.js'
import { type Conn, connOf, type Part } from './private-engine.js'
import type { Adapter, AnyServer, BroadcastOptions, Packet } from './types.js'

/**
 * All that reaches into what Socket.IO keeps to itself of clients and sockets, as these move to another process. Checked
 * against the versions that `private.ts` names; with others, none moves.
 */

/** What we use of a client: one connection, with its sockets. */
export interface ClientOf {
  readonly conn: Conn
  readonly sockets: Map<string, Socket>
  readonly nsps?: Map<string, Socket>
  readonly decoder?: { reconstructor?: { reconPack?: ReconPack; buffers?: Buffer[] } | null }
  writeToEngine(packets: Encoded | string, options: object): void
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
  _onconnect(): void
  packet?(packet: Packet): void
  disconnect(close?: boolean): Socket
  _onclose(reason: string): void
  emitReserved(event: string, ...args: unknown[]): void
}

/** Socket.IO's types of packets. */
const CONNECT = 0
const BINARY_EVENT = 5
const BINARY_ACK = 6

/** Clients by their connections, as far as they have come to a namespace; and how many namespaces they come to just now. */
const clients = new WeakMap<Conn, ClientOf>()
const coming = new WeakMap<Conn, number>()

// Casts below: these members are declared private, or not at all.

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
  ;(socket as unknown as MovingSocket).packet?.(packet)
}

/** Tells the application that the socket is gone from here. What its handlers still do works all the same. */
export function tellGone(socket: Socket, reason: string): void {
  const inner = socket as unknown as MovingSocket
  inner.emitReserved('disconnecting', reason)
  inner.emitReserved('disconnect', reason)
}

/** What a client would send to come to a namespace. */
export function connectParts(nsp: Namespace): Encoded {
  return encode(nsp, { type: CONNECT, nsp: nsp.name, data: {} as unknown[] }) ?? []
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
