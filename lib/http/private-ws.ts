import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { canDetach, detach, type RawHandle } from './raw-handle.js'

/**
 * All that reaches into what ws keeps to itself, also where engine.io uses it. Checked against ws 8.11.0, 8.17.1 and 8.23.0. A
 * connection where something is not as expected is not handed over.
 */

/** What we use of a WebSocket of ws. */
export interface WebSocket extends EventEmitter {
  readonly readyState: number
  readonly bufferedAmount: number
  readonly extensions: string
  readonly protocol: string
  readonly isPaused: boolean
  readonly _socket?: Socket | null
  readonly _receiver?: Receiver | null
  readonly _sender?: { readonly _firstFragment?: boolean } | null
  _protocol: string
  pause(): void
  resume(): void
  send(data: unknown, options?: unknown, callback?: unknown): void
  close(code?: number, reason?: string | Buffer): void
  terminate(): void
  ping(data?: unknown, mask?: unknown, callback?: unknown): void
  pong(data?: unknown, mask?: unknown, callback?: unknown): void
  setSocket(socket: Socket, head: Buffer, options: object): void
  emitClose(): void
}

/** What we use of a `WebSocketServer` of ws. */
export interface WebSocketServer extends EventEmitter {
  readonly clients: Set<WebSocket>
  readonly options: { readonly WebSocket: new (address: null, protocols: undefined, options: object) => WebSocket }
  _shouldEmitClose?: boolean
  _state?: number
}

interface Receiver extends EventEmitter {
  readonly writableLength: number
  readonly _buffers: readonly Buffer[]
  readonly _state: number
  readonly _fin: boolean
  readonly _opcode: number
  readonly _payloadLength: number
  readonly _mask: Buffer | undefined
  readonly _fragmented: number
  readonly _fragments: readonly Buffer[]
  readonly _compressed: boolean
  readonly _totalPayloadLength: number
}

/** Whether a connection can move: now, or when it has done what it is about to do, or never, and why. */
export type Readiness = 'ready' | 'writing' | 'busy' | { never: string }

/** The states of a receiver in which it waits for bytes, and all that it has are in its buffers. */
const GET_INFO = 0
const GET_PAYLOAD_LENGTH_16 = 1
const GET_PAYLOAD_LENGTH_64 = 2
const GET_DATA = 4

export const OPEN = 1
const CLOSED = 3

/** Of a server. */
const SERVER_CLOSED = 2

const ignore = () => {}

export function isWebSocketServer(value: unknown): value is WebSocketServer {
  const server = value as Partial<WebSocketServer> | null | undefined
  return (
    server?.clients instanceof Set &&
    typeof server.options?.WebSocket === 'function' &&
    typeof server.emit === 'function'
  )
}

/** To be asked when all that has been read is dispatched: in a `setImmediate`. */
export function webSocketReadiness(ws: WebSocket | undefined): Readiness {
  const raw = ws?._socket
  const receiver = ws?._receiver
  if (!ws || !raw || !receiver || !isKnown(receiver) || typeof ws.pause !== 'function') {
    return { never: 'this version of ws is not one that Hubwire knows' }
  }
  if (ws.readyState !== OPEN) return 'busy'
  if (ws.extensions !== '') return { never: 'it is compressed' }
  if ('encrypted' in raw) return { never: 'its TLS ends in this process' }
  if (raw.destroyed) return 'busy'
  if (!canDetach(raw)) return { never: 'its connection is no plain TCP' }
  if (receiver.writableLength > 0 || receiver._state > GET_DATA || receiver._compressed) return 'busy'
  // The rest of a message in fragments is still to be sent.
  if (ws._sender?._firstFragment === false) return 'busy'
  if (ws.bufferedAmount > 0 || raw.writableLength > 0) return 'writing'
  return 'ready'
}

function isKnown(receiver: Receiver): boolean {
  const { _buffers, _state, _fin, _opcode, _payloadLength, _fragmented, _fragments, writableLength } = receiver
  const numbers = [_state, _opcode, _payloadLength, _fragmented, receiver._totalPayloadLength, writableLength]
  return (
    Array.isArray(_buffers) &&
    Array.isArray(_fragments) &&
    typeof _fin === 'boolean' &&
    numbers.every((value) => typeof value === 'number')
  )
}

/** Takes the connection from one that is `ready`, with the bytes of the client that make no whole message yet. */
export function takeConnection(ws: WebSocket): { handle: RawHandle | undefined; unread: Buffer } {
  const raw = ws._socket as Socket
  raw.removeAllListeners('data')
  const rest: unknown = raw.readableLength > 0 ? raw.read() : null
  const unread = Buffer.concat([...unfinished(ws._receiver as Receiver), ...(rest instanceof Buffer ? [rest] : [])])
  return { handle: detach(raw), unread }
}

/** What a receiver has consumed and not delivered, as the bytes that bring another one to the same point. */
function unfinished(receiver: Receiver): Buffer[] {
  const { _state, _fin, _opcode, _payloadLength, _fragmented, _fragments, _buffers } = receiver
  const bytes: Buffer[] = []
  const inFrame = _state !== GET_INFO
  const isData = _opcode < 8
  // Fragments before this one become one. Where there are none, or empty ones alone, this frame may as well begin.
  const begun = _fragmented !== 0 && (_fragments.length > 0 || !inFrame || !isData)
  if (begun) {
    const payload = Buffer.concat(_fragments)
    bytes.push(header(false, _fragmented, payload.length), Buffer.alloc(4), payload)
  }
  if (inFrame) {
    const opcode = isData && begun ? 0 : _opcode
    if (_state === GET_PAYLOAD_LENGTH_16) bytes.push(firstBytes(_fin, opcode, 126))
    else if (_state === GET_PAYLOAD_LENGTH_64) bytes.push(firstBytes(_fin, opcode, 127))
    else bytes.push(header(_fin, opcode, _payloadLength))
    if (_state === GET_DATA && receiver._mask) bytes.push(receiver._mask)
  }
  return [...bytes, ..._buffers]
}

function firstBytes(fin: boolean, opcode: number, length: number): Buffer {
  return Buffer.from([(fin ? 0x80 : 0) | opcode, 0x80 | length])
}

/** Of a masked frame, without the mask. */
function header(fin: boolean, opcode: number, length: number): Buffer {
  if (length < 126) return firstBytes(fin, opcode, length)
  const extended = Buffer.alloc(length < 65_536 ? 2 : 8)
  if (length < 65_536) extended.writeUInt16BE(length)
  else extended.writeBigUInt64BE(BigInt(length))
  return Buffer.concat([firstBytes(fin, opcode, length < 65_536 ? 126 : 127), extended])
}

/** Has a WebSocket seem open, and tell nobody when its connection is taken away. */
export function keepOpen(ws: WebSocket): void {
  ws.emitClose = ignore
  Object.defineProperty(ws, 'readyState', { value: OPEN, configurable: true })
  ws._receiver?.removeAllListeners()
}

/** Has it seem broken, as when a connection is lost. */
export function breakOff(ws: WebSocket): void {
  Object.defineProperty(ws, 'readyState', { value: CLOSED, configurable: true })
  ws.emit('close', 1006, Buffer.alloc(0))
}

/** A WebSocket of that server around a connection that was upgraded elsewhere. It reads from the next turn on. */
export function openWebSocket(server: WebSocketServer, raw: Socket, protocol: string, unread: Buffer): WebSocket {
  const ws = new server.options.WebSocket(null, undefined, server.options)
  ws._protocol = protocol
  ws.setSocket(raw, unread, server.options)
  server.clients.add(ws)
  ws.on('close', () => {
    server.clients.delete(ws)
    // A server that closes waits for its clients.
    if (server._shouldEmitClose && server.clients.size === 0) {
      process.nextTick(() => {
        server._state = SERVER_CLOSED
        server.emit('close')
      })
    }
  })
  return ws
}
