/**
 * Every reach into Node's private state that `lib/http` needs, and the whole of it. Connections travel between processes
 * as the raw handles that `net.Socket` keeps in `_handle`: a `net.Socket` in transit would go on reading, and lose what
 * it reads. Checked against Node.js 20.19, 22, 24 and 26. What is not as expected there fails with an error that says
 * so, or has a way round that its function names.
 */
import type { EventEmitter } from 'node:events'
import { type Server as HttpServer, IncomingMessage } from 'node:http'
import { createServer, type Server, Socket } from 'node:net'
import { HubError } from '../errors.js'
import type { Handle } from '../wire/transport.js'

/** What we use of Node's TCP handle. */
export interface RawHandle extends Handle {
  /** Called with what was read, in memory of its own; without anything at the end, and when the connection broke. */
  onread?: (bytes?: ArrayBuffer) => void
  /** What sockets keep there: whether they have started it. */
  reading?: boolean
  readStart(): number
  readStop(): number
  getpeername(into: { address?: string }): number
}

type OnConnection = (error: number, handle: RawHandle | undefined) => void

/** What we use of what Node keeps to itself. */
interface Private {
  _handle?: (RawHandle & { onconnection?: OnConnection }) | null
  _httpMessage?: unknown
}

/**
 * Where a handle's `onread` tells the length of what it read by that of the buffer. On Node.js 26 the buffer may be longer,
 * and what follows in it is not the client's.
 */
const READS_BARE = ['20', '22', '24'].includes(process.versions.node.split('.')[0] ?? '')

function unexpected(what: string): HubError {
  return new HubError(
    'ERR_HUB_PROTOCOL',
    `hub.listen() and hub.serve() do not know this Node.js (${process.version}): ${what} is not where it was. ` +
      'Use a version that Hubwire names, or update Hubwire.',
  )
}

const ignore = () => {}

export function isRawHandle(value: unknown): value is RawHandle {
  const handle = value as Partial<RawHandle> | null | undefined
  return typeof handle?.close === 'function' && typeof handle.readStop === 'function'
}

/**
 * A server whose connections come as raw handles that nobody reads. Node's own cluster accepts like this; where the
 * handle has no `onconnection`, it detaches them from their sockets, which is slower.
 */
export function createRawServer(onHandle: (handle: RawHandle) => void): Server {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    const handle = detach(socket)
    if (handle) onHandle(handle)
  })
  server.on('listening', () => {
    const listening = (server as Private)._handle
    const otherwise = listening?.onconnection
    if (!listening || typeof otherwise !== 'function') return
    listening.onconnection = (error, handle) => {
      if (error || !isRawHandle(handle)) Reflect.apply(otherwise, listening, [error, handle])
      else onHandle(handle)
    }
  })
  return server
}

/**
 * Reads from a raw handle, which is nobody else's meanwhile. `onBytes` gets nothing at the end, and when the connection
 * broke. Returns what stops it. A `net.Socket` for each new connection would cost the primary as much as all the rest of
 * its work for it; on other versions of Node than those looked at there is one.
 */
export function readFrom(handle: RawHandle, onBytes: (bytes: Buffer | undefined) => void): () => void {
  if (!READS_BARE || !('onread' in handle)) return readBySocket(handle, onBytes)
  handle.onread = (bytes) => onBytes(bytes && Buffer.from(bytes))
  if (handle.readStart() !== 0) setImmediate(onBytes, undefined)
  return () => {
    handle.readStop()
    // Closed handles live until the next long collection, with all that hangs on them.
    handle.onread = ignore
  }
}

/** As `readFrom`, the public way. When the connection broke, its handle is closed already. */
export function readBySocket(handle: RawHandle, onBytes: (bytes: Buffer | undefined) => void): () => void {
  const socket = wrap(handle)
  const onEnd = () => onBytes(undefined)
  socket.on('data', onBytes)
  socket.once('end', onEnd)
  socket.once('error', onEnd)
  return () => {
    socket.off('data', onBytes)
    socket.off('end', onEnd)
    detach(socket)
  }
}

/** A socket around a raw handle that reads nothing before it is asked to. */
export function wrap(handle: RawHandle): Socket {
  const options: object = { handle, allowHalfOpen: true, manualStart: true }
  return new Socket(options)
}

/** Whether `detach` would give a handle. */
export function canDetach(socket: Socket): boolean {
  const handle = (socket as Private)._handle
  return isRawHandle(handle) && handle.constructor.name === 'TCP'
}

/**
 * Takes the handle out of its socket, which reads no more and is destroyed without touching the connection. Undefined
 * when the connection is gone, or is not a plain one: TLS keeps state in this process.
 */
export function detach(socket: Socket): RawHandle | undefined {
  const owner = socket as Private
  const handle = owner._handle
  if (!isRawHandle(handle) || handle.constructor.name !== 'TCP') return undefined
  handle.readStop()
  // The next socket around this handle would believe that it is being read, and wait for ever.
  handle.reading = false
  owner._handle = null
  socket.destroy()
  return handle
}

/**
 * Takes connections back from the HTTP server on which no request is in progress, not even in part, and no answer is on
 * its way out. Which these are the server alone knows, and tells by closing them, which is kept from happening.
 * @param all The open connections of the server.
 * @param movable Those that may be taken. `untouched`: nothing has ever come on it, unless from its handle.
 */
export function detachIdle(
  server: HttpServer,
  all: ReadonlySet<Socket>,
  movable: ReadonlyMap<Socket, { readonly untouched: boolean }>,
): RawHandle[] {
  const idle = new Set<Socket>()
  for (const socket of all) {
    socket.destroy = () => {
      idle.add(socket)
      return socket
    }
  }
  try {
    server.closeIdleConnections()
  } finally {
    for (const socket of all) Reflect.deleteProperty(socket, 'destroy')
  }
  const handles: RawHandle[] = []
  for (const [socket, { untouched }] of movable) {
    // Before the first request of a connection, its server waits for that, and does not call it idle.
    if (!idle.has(socket) && !(untouched && socket.bytesRead === 0)) continue
    if (socket.destroyed || socket.writableLength > 0 || hasUnfinishedAnswer(socket)) continue
    const handle = detachFromHttp(socket)
    if (handle) handles.push(handle)
  }
  return handles
}

/** Takes the handle out of a socket that an HTTP server reads, and has not found a part of a request on. */
function detachFromHttp(socket: Socket): RawHandle | undefined {
  // Its parser reads the handle itself, past the socket. It lets go when somebody else listens.
  socket.on('data', () => {})
  return detach(socket)
}

/** Whether an answer to an earlier request on this connection is still to be written. */
export function hasUnfinishedAnswer(socket: Socket): boolean {
  return Boolean((socket as Private)._httpMessage)
}

/** The remote address; undefined when the connection is gone already. */
export function remoteAddress(handle: RawHandle): string | undefined {
  const peer: { address?: string } = {}
  return handle.getpeername(peer) === 0 ? peer.address : undefined
}

/**
 * Gives a listening server a connection as if it had accepted it: with its limits, counts and socket options.
 * @throws {HubError} `ERR_HUB_PROTOCOL` when Node accepts in another way
 */
export function inject(server: HttpServer, handle: RawHandle): void {
  const listening = (server as unknown as Private)._handle
  if (typeof listening?.onconnection !== 'function') throw unexpected('the handle of a listening server')
  listening.onconnection(0, handle)
}

/** Node sends this on when the process at the other end has taken a handle, or could not. */
interface InternalMessage {
  cmd?: string
}

/**
 * Listens for what Node itself answers to a handle. Node's own listener has been called before, and what waited behind
 * the handle is on its way. Whoever uses it must not depend on it alone: nothing says when Node changes it. Returns what ends
 * the listening.
 */
export function onHandleAnswered(channel: EventEmitter, listener: (taken: boolean) => void): () => void {
  const onMessage = (message: InternalMessage | undefined) => {
    if (message?.cmd === 'NODE_HANDLE_ACK') listener(true)
    else if (message?.cmd === 'NODE_HANDLE_NACK') listener(false)
  }
  channel.on('internalMessage', onMessage)
  return () => channel.off('internalMessage', onMessage)
}

/** What stays of a request when its connection moves to another process. */
export interface RequestHead {
  readonly method: string
  readonly url: string
  readonly httpVersion: string
  readonly rawHeaders: readonly string[]
}

export function requestHead({ method = 'GET', url = '/', httpVersion, rawHeaders }: IncomingMessage): RequestHead {
  return { method, url, httpVersion, rawHeaders }
}

/** The request as it was, on the connection as it is now. */
export function reviveRequest({ method, url, httpVersion, rawHeaders }: RequestHead, socket: Socket): IncomingMessage {
  const request = new IncomingMessage(socket) as IncomingMessage & {
    _addHeaderLines(lines: string[], count: number): void
  }
  const [major = '1', minor = '1'] = httpVersion.split('.')
  Object.assign(request, { method, url, httpVersion, rawHeaders: [...rawHeaders] })
  Object.assign(request, { httpVersionMajor: Number(major), httpVersionMinor: Number(minor) })
  request._addHeaderLines(request.rawHeaders, request.rawHeaders.length)
  // Not before: what comes then are trailers.
  request.complete = true
  return request
}
