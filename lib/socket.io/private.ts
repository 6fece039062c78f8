import { EventEmitter } from 'node:events'
import type { Namespace, Socket } from 'socket.io'
import { invalid } from '../errors.js'
import type { RecoveryTimes } from '../recovery.js'
import { EVENT } from './body.js'
import type { Adapter, AdapterClass, AnyServer, BroadcastOptions, Packet } from './types.js'

/**
 * All that reaches into what Socket.IO keeps to itself, as far as packets and adapters go; `private-acks.ts` has
 * acknowledgements, `private-sockets.ts` sockets that move. Checked against socket.io 4.7.3, 4.7.5, 4.8.1 and 4.8.4 with
 * socket.io-adapter 2.5.2 and 2.5.8. What is not found warns once, and the public way is taken: slower, not wrong.
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
