import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Socket as NetSocket } from 'node:net'
import type { Socket } from 'socket.io'
import { type Readiness, takeConnection, type WebSocket, webSocketReadiness } from '../http/private-ws.js'
import { type RawHandle, type RequestHead, requestHead, reviveRequest } from '../http/raw-handle.js'
import type { AnyServer } from './types.js'

/**
 * All that reaches into what engine.io keeps to itself; what is socket.io's own is in `private.ts`, what is that of ws in
 * `http/private-ws.ts`. Checked against engine.io 6.5.5 and 6.6.12. A connection where something is not as expected is not
 * handed over: it is lost, and its client connects anew.
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
  writeBuffer: { type: string; data?: Part; options?: object }[]
  pingIntervalTimer?: NodeJS.Timeout | null
  pingTimeoutTimer?: NodeJS.Timeout | null
  flush(): void
  sendPacket(type: string, data?: Part, options?: object, callback?: () => void): void
  resetPingTimeout(timeout?: number): void
  close(discard?: boolean): void
  emit(event: string, ...args: unknown[]): boolean
  removeAllListeners(event?: string): void
}

interface Transport extends EventEmitter {
  readonly name: string
  writable: boolean
  readonly socket?: WebSocket
}

interface Engine {
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

function engineOf(io: AnyServer): Engine | undefined {
  return io.engine as unknown as Engine | undefined
}

export function connOf(socket: Socket): Conn {
  return socket.conn as unknown as Conn
}

export function connectionsOf(io: AnyServer): Conn[] {
  return Object.values(engineOf(io)?.clients ?? {})
}

/**
 * Whether it can be handed over: now, or when it has done what it is about to do, or never, and why. To be asked when
 * all that has been read is dispatched: in a `setImmediate`.
 */
export function readiness(conn: Conn): Readiness {
  if (conn.readyState !== 'open') return 'busy'
  if (conn.protocol !== 4) return { never: 'it speaks a protocol older than version 4 of engine.io' }
  const { transport } = conn
  if (conn.upgrading === true) return 'busy'
  if (transport.name !== 'websocket') return { never: `its transport is ${transport.name}, and not WebSocket` }
  const ws = transport.socket
  const state = webSocketReadiness(ws)
  return state === 'ready' && !transport.writable ? 'writing' : state
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
  readonly handle: RawHandle
  /** Bytes of the client that make no whole message yet. */
  readonly unread: Buffer
  /** Parts that were to be sent. */
  readonly unsent: Part[]
}

/** Undefined when the connection is gone. From then on what is sent to it goes to `send`, a packet's parts at a time. */
export function take(io: AnyServer, conn: Conn, send: (parts: Part[]) => void, close: () => void): Taken | undefined {
  const engine = engineOf(io)
  const ws = conn.transport.socket as WebSocket
  if (!engine || ws._socket?.destroyed) return undefined
  // Nobody is to hear of what becomes of the socket that is left.
  ws.removeAllListeners()
  ws.on('error', ignore)
  conn.transport.removeAllListeners()
  conn.transport.on('error', ignore)
  for (const event of ['data', 'error', 'close']) conn.removeAllListeners(event)
  const { handle, unread } = takeConnection(ws)
  clearTimeout(conn.pingIntervalTimer ?? undefined)
  clearTimeout(conn.pingTimeoutTimer ?? undefined)
  conn.pingTimeoutTimer = null
  delete engine.clients[conn.id]
  engine.clientsCount--
  const unsent = conn.writeBuffer.flatMap(({ type, data }) => (type === 'message' && data !== undefined ? [data] : []))
  conn.writeBuffer = []
  conn.flush = ignore
  conn.sendPacket = (type, data) => {
    if (type === 'message' && data !== undefined) send([data])
  }
  conn.close = close
  return handle && { handle, unread, unsent }
}

// The other side

/** What stays of the request that opened a session. */
export type RequestState = RequestHead

export function requestState({ request }: Conn): RequestState {
  return requestHead(request)
}

/** Ids of sessions that are to be opened under the name that they had. */
const ids = new WeakMap<IncomingMessage, string>()

/** The id of a session that moves, by its request. */
export function movedId(request: IncomingMessage): string | undefined {
  return ids.get(request)
}

/** Undefined when this engine.io is not one that we know. */
export async function openMoved(
  io: AnyServer,
  id: string,
  state: RequestState,
  raw: NetSocket,
): Promise<Opened | undefined> {
  const engine = engineOf(io)
  const WebSocketClass = engine?.ws?.options?.WebSocket
  if (!engine || !WebSocketClass || typeof engine.handshake !== 'function') return undefined
  const request = revive(state, raw)
  await middlewares(engine, request, raw)
  const options = engine.ws?.options ?? {}
  const ws = new WebSocketClass(null, undefined, options)
  // The engine's own listener for what goes wrong comes with the transport.
  const made = Object.assign(request, { websocket: ws })
  pausedTransports(engine)
  ids.set(made, id)
  await engine.handshake('websocket', made, ignore)
  const conn = engine.clients[id]
  if (!conn) return undefined
  // The client has been told that the session is open.
  conn.writeBuffer = []
  return {
    conn,
    start: (unread) => {
      ws.setSocket(raw, unread, options)
      conn.transport.writable = true
      // The other process may have been about to ask for a sign of life: the client waits for that.
      conn.sendPacket('ping')
      conn.resetPingTimeout(engine.opts.pingTimeout)
    },
  }
}

const paused = new WeakSet<Engine>()

/** Has transports of sessions that move send nothing before all that their clients are to get first is there. */
function pausedTransports(engine: Engine): void {
  if (paused.has(engine)) return
  paused.add(engine)
  const { createTransport } = engine
  engine.createTransport = function (name, request) {
    const transport = createTransport.call(this, name, request)
    if (ids.has(request)) transport.writable = false
    return transport
  }
}

/** A session that was opened anew around a connection. */
export interface Opened {
  readonly conn: Conn
  /** Begins to read and to write. */
  start(unread: Buffer): void
}

function revive(state: RequestState, raw: NetSocket): Conn['request'] {
  const request = reviveRequest(state, raw) as Conn['request']
  request._query = Object.fromEntries(new URL(state.url, 'https://socket.io').searchParams)
  return request
}

/** What the middlewares of engine.io are given as the response to an upgrade: enough that they set headers and end it. */
class NoResponse extends EventEmitter {
  readonly #headers = new Map<string, unknown>()
  readonly #refuse: () => void

  constructor(refuse: () => void) {
    super()
    this.#refuse = refuse
  }

  setHeader(name: string, value: unknown): void {
    this.#headers.set(name.toLowerCase(), value)
  }

  getHeader(name: string): unknown {
    return this.#headers.get(name.toLowerCase())
  }

  removeHeader(name: string): void {
    this.#headers.delete(name.toLowerCase())
  }

  write(): void {}

  writeHead(): void {}

  end(): void {
    this.emit('finish')
    this.#refuse()
  }
}

/** Rejects when one of them does not let the request pass. */
function middlewares(engine: Engine, request: IncomingMessage, raw: NetSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const response = new NoResponse(() => reject(new Error('a middleware of io.engine has ended the request')))
    raw.once('close', () => response.emit('close'))
    engine._applyMiddlewares(request, response, (error) => {
      if (error) reject(error as Error)
      else resolve()
    })
  })
}
