import type { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'socket.io'
import { type Readiness, takeConnection, type WebSocket, webSocketReadiness } from '../http/private-ws.js'
import { type RawHandle, type RequestHead, requestHead } from '../http/raw-handle.js'
import { hurry, type Polling, pollingReadiness, release, sendAway } from './private-polling.js'
import type { AnyServer } from './types.js'

/**
 * All that reaches into what engine.io keeps to itself; what is socket.io's own is in `private.ts`, what is that of ws in
 * `http/private-ws.ts`, and how sessions are opened that come from elsewhere in `private-opening.ts`. Checked against
 * engine.io 6.5.2, 6.5.5 and 6.6.13. A connection where something is not as expected is not handed over: it is lost, and
 * its client connects anew.
 */

/** One part of a packet, as engine.io sends it. */
export type Part = string | Uint8Array

/** What we use of engine.io's socket. */
export interface Conn {
  readonly id: string
  readonly protocol: number
  readonly readyState: string
  readonly request: IncomingMessage & { _query?: Record<string, string> }
  readonly transport: Transport
  readonly upgrading?: boolean
  readonly remoteAddress?: string
  writeBuffer: { type: string; data?: Part; options?: object }[]
  pingIntervalTimer?: NodeJS.Timeout | null
  pingTimeoutTimer?: NodeJS.Timeout | null
  flush(): void
  sendPacket(type: string, data?: Part, options?: object, callback?: () => void): void
  resetPingTimeout(timeout?: number): void
  close(discard?: boolean): void
  emit(event: string, ...args: unknown[]): boolean
  on(event: string, listener: () => void): unknown
  off(event: string, listener: () => void): unknown
  removeAllListeners(event?: string): void
}

interface Transport extends Polling {
  readonly name: string
  readonly socket?: WebSocket
}

export interface Engine {
  clients: Record<string, Conn>
  clientsCount: number
  readonly opts: { readonly pingTimeout: number; readonly initialPacket?: unknown }
  readonly ws?: { readonly options?: { readonly WebSocket?: new (a: null, b: undefined, c: object) => WebSocket } }
  generateId(request: IncomingMessage): string | Promise<string>
  createTransport(name: string, request: IncomingMessage): Transport
  handshake(name: string, request: IncomingMessage, refuse: () => void): Promise<unknown>
  _applyMiddlewares(request: IncomingMessage, response: EventEmitter, callback: (error?: unknown) => void): void
}

const ignore = () => {}

// Casts below: these members are declared private, or not at all.

export function engineOf(io: AnyServer): Engine | undefined {
  return io.engine as unknown as Engine | undefined
}

export function connOf(socket: Socket): Conn {
  return socket.conn as unknown as Conn
}

export function connectionsOf(io: AnyServer): Conn[] {
  return Object.values(engineOf(io)?.clients ?? {}).filter((conn) => !(conn instanceof Departed))
}

/** Calls back for each session that is opened from now on. */
export function onSession(io: AnyServer, callback: () => void): void {
  io.engine.on('connection', callback)
}

/** What engine.io finds in place of a session that polled and has left. */
class Departed {
  readonly protocol: number
  readonly transport: Transport
  readonly upgrading = true
  readonly upgraded = true

  constructor({ protocol, transport }: Conn) {
    this.protocol = protocol
    this.transport = transport
  }

  close(): void {}
}

/** Whether engine.io knows a session of that name, which may come from those that ask. */
export function hasSession(io: AnyServer, id: string): boolean {
  return connOfSession(io, id) !== undefined
}

/** Has the session's open poll be answered at once; or else this one, as soon as it is open. */
export function releasePoll(io: AnyServer, id: string, poll: IncomingMessage | undefined): void {
  const transport = connOfSession(io, id)?.transport
  if (transport?.name !== 'polling') return
  if (poll) hurry(transport, poll)
  else release(transport)
}

function connOfSession(io: AnyServer, id: string): Conn | undefined {
  const clients = engineOf(io)?.clients
  return clients && Object.hasOwn(clients, id) ? clients[id] : undefined
}

/**
 * Whether it can be handed over: now, or when it has done what it is about to do, or never, and why. To be asked when
 * all that has been read is dispatched: in a `setImmediate`.
 */
export function readiness(conn: Conn): Readiness | 'upgrading' {
  if (conn.readyState !== 'open') return 'busy'
  if (conn.protocol !== 4) return { never: 'it speaks a protocol older than version 4 of engine.io' }
  const { transport } = conn
  if (conn.upgrading === true) return 'upgrading'
  if (isPolling(conn)) return pollingReadiness(transport)
  if (transport.name !== 'websocket') return { never: `its transport is ${transport.name}` }
  const ws = transport.socket
  const state = webSocketReadiness(ws)
  return state === 'ready' && !transport.writable ? 'writing' : state
}

export function isPolling({ transport }: Conn): boolean {
  return transport.name === 'polling'
}

/** Has what is sent wait, until what was sent before has left. Returns what ends that. */
export function hold(conn: Conn): () => void {
  const ws = conn.transport.socket
  conn.flush = ignore
  ws?.pause()
  return () => {
    Reflect.deleteProperty(conn, 'flush')
    ws?.resume()
    conn.flush()
  }
}

/** What is left of a connection that is `ready`, when it has been taken from engine.io, which does not notice. */
export interface Taken {
  /** Undefined where the client polls. */
  readonly handle: RawHandle | undefined
  /** Bytes of the client that make no whole message yet. */
  readonly unread: Buffer
  /** Parts that were to be sent. */
  readonly unsent: Part[]
}

/** Undefined when the connection is gone. From then on what is sent to it goes to `send`, a packet's parts at a time. */
export function take(io: AnyServer, conn: Conn, send: (parts: Part[]) => void, close: () => void): Taken | undefined {
  const engine = engineOf(io)
  if (!engine || conn.transport.socket?._socket?.destroyed) return undefined
  for (const event of ['data', 'error', 'close']) conn.removeAllListeners(event)
  clearTimeout(conn.pingIntervalTimer ?? undefined)
  clearTimeout(conn.pingTimeoutTimer ?? undefined)
  conn.pingTimeoutTimer = null
  delete engine.clients[conn.id]
  engine.clientsCount--
  let unread: Buffer = Buffer.alloc(0)
  let handle: RawHandle | undefined
  if (isPolling(conn)) {
    sendAway(conn.transport)
    engine.clients[conn.id] = new Departed(conn) as unknown as Conn
  } else {
    const from = takeSocket(conn.transport)
    if (!from.handle) return undefined
    ;({ unread, handle } = from)
  }
  const unsent = conn.writeBuffer.flatMap(({ type, data }) => (type === 'message' && data !== undefined ? [data] : []))
  conn.writeBuffer = []
  conn.flush = ignore
  conn.sendPacket = (type, data) => {
    if (type === 'message' && data !== undefined) send([data])
  }
  conn.close = close
  return { handle, unread, unsent }
}

/** The session is lost: nobody is to be told to ask elsewhere. */
export function forgetDeparted(io: AnyServer, id: string): void {
  const clients = engineOf(io)?.clients
  if (clients?.[id] instanceof Departed) delete clients[id]
}

function takeSocket(transport: Transport): ReturnType<typeof takeConnection> {
  const ws = transport.socket as WebSocket
  // Nobody is to hear of what becomes of the socket that is left.
  ws.removeAllListeners()
  ws.on('error', ignore)
  transport.removeAllListeners()
  transport.on('error', ignore)
  return takeConnection(ws)
}

/** What stays of the request that opened a session. */
export interface RequestState extends RequestHead {
  /** What its connection said of the client. */
  readonly remote: Remote
}

export interface Remote {
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly remoteFamily: string | undefined
  /** Undefined where it was not. */
  readonly encrypted: boolean | undefined
}

export function requestState({ request, remoteAddress }: Conn): RequestState {
  const { remotePort, remoteFamily } = request.socket
  const encrypted = 'encrypted' in request.socket ? true : undefined
  return { ...requestHead(request), remote: { remoteAddress, remotePort, remoteFamily, encrypted } }
}
