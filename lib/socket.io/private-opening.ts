import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Socket as NetSocket } from 'node:net'
import { reviveRequest } from '../http/raw-handle.js'
import { type Conn, type Engine, engineOf, type Remote, type RequestState } from './private-engine.js'
import { resume } from './private-polling.js'
import type { AnyServer } from './types.js'

/**
 * All that it takes to have engine.io open a session that was opened elsewhere, past what it keeps to itself. Checked
 * against the versions that `private-engine.ts` names.
 */

/** Ids of sessions that are to be opened under the name that they had. */
const ids = new WeakMap<IncomingMessage, string>()

/** The id of a session that moves, by its request. */
export function movedId(request: IncomingMessage): string | undefined {
  return ids.get(request)
}

/** Undefined when this engine.io is not one that we know. `raw`: the client's connection; without, it polls. */
export async function openMoved(
  io: AnyServer,
  id: string,
  state: RequestState,
  raw: NetSocket | undefined,
): Promise<Opened | undefined> {
  const engine = engineOf(io)
  const options = engine?.ws?.options ?? {}
  if (!engine || typeof engine.handshake !== 'function' || (raw && !options.WebSocket)) return undefined
  const request = revive(state, raw ?? pastConnection(state.remote))
  await middlewares(engine, request)
  const ws = raw && options.WebSocket && new options.WebSocket(null, undefined, options)
  // The engine's own listener for what goes wrong comes with the transport.
  const made = ws ? Object.assign(request, { websocket: ws }) : request
  silentTransports(engine)
  ids.set(made, id)
  await engine.handshake(raw ? 'websocket' : 'polling', made, () => {})
  const conn = engine.clients[id]
  if (!conn) return undefined
  // The request has had its answer long ago: who waits for that is told.
  if (!raw) request.socket.destroy()
  // The client has been told that the session is open.
  conn.writeBuffer = []
  return {
    conn,
    start: (unread) => {
      if (raw && ws) {
        ws.setSocket(raw, unread, options)
        conn.transport.writable = true
      }
      // The other process may have been about to ask for a sign of life: the client waits for that.
      conn.sendPacket('ping')
      conn.resetPingTimeout(engine.opts.pingTimeout)
    },
    abandon: () => {
      // A WebSocket without a connection cannot be closed.
      if (ws) ws.emit('close')
      else conn.close(true)
    },
  }
}

const silent = new WeakSet<Engine>()

/** Has transports of sessions that move send nothing before all that their clients are to get first is there. */
function silentTransports(engine: Engine): void {
  if (silent.has(engine)) return
  silent.add(engine)
  const { createTransport } = engine
  engine.createTransport = function (name, request) {
    const transport = createTransport.call(this, name, request)
    if (ids.has(request)) {
      if (name === 'polling') resume(transport)
      else transport.writable = false
    }
    return transport
  }
}

/** In place of the connection on which a session that polls was opened: it may have ended long ago. */
function pastConnection(remote: Remote): NetSocket {
  const socket = new NetSocket()
  for (const [name, value] of Object.entries(remote)) {
    if (value !== undefined) Object.defineProperty(socket, name, { value, configurable: true, enumerable: true })
  }
  return socket
}

/** A session that was opened anew around a connection. */
export interface Opened {
  readonly conn: Conn
  /** Begins to read and to write. */
  start(unread: Buffer): void
  /** It is not to be started: the session is lost. */
  abandon(): void
}

function revive(state: RequestState, raw: NetSocket): Conn['request'] {
  const request = reviveRequest(state, raw) as Conn['request']
  request._query = Object.fromEntries(new URL(state.url, 'https://socket.io').searchParams)
  return request
}

/** What the middlewares of engine.io are given as the response: enough that they set headers and end it. */
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
function middlewares(engine: Engine, request: IncomingMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    const response = new NoResponse(() => reject(new Error('a middleware of io.engine has ended the request')))
    request.socket.once('close', () => response.emit('close'))
    engine._applyMiddlewares(request, response, (error) => {
      if (error) reject(error as Error)
      else resolve()
    })
  })
}
