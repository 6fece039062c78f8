import http, { type ClientRequest, type IncomingMessage, type RequestOptions, type ServerResponse } from 'node:http'
import https from 'node:https'
import net, { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import type { Member } from '../member.js'
import type { HttpServerAt, HttpServers, HttpToHub } from '../relay/control.js'
import { detach, hasUnfinishedAnswer } from './raw-handle.js'
import { addressOf } from './session-id.js'
import { isBelow, sessionOf } from './session-path.js'
import { Succession } from './succession.js'

/**
 * On requests that another member has forwarded: a secret that only members know, then the client's address, port and
 * family. Without the secret it is a header like any other.
 */
const HEADER = 'x-hubwire-forwarded'

/** What holds between two neighbours only, and is not passed on. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  HEADER,
])

/** What engine.io says of a session that it does not know. */
const SESSION_UNKNOWN = '{"code":1,"message":"Session ID unknown"}'

/**
 * Requests of sessions that live in another member. A connection is routed once, by its first request; what comes on it
 * later may belong elsewhere. Such a request goes to its owner's private socket, and the answer comes back here.
 */
export class Forwarding {
  readonly #member: Member
  readonly #servers = new Map<number, HttpServerAt>()
  #succession = new Succession()
  #paths: readonly string[] = []
  #secret = ''
  #warned = false
  #warnedOfPath = false
  /** Requests of sessions that are in progress here. */
  polls = 0

  constructor(member: Member) {
    this.#member = member
  }

  update({ paths, servers, successors, secret }: HttpServers): void {
    this.#paths = paths
    this.#succession = new Succession(successors)
    this.#secret = secret
    this.#servers.clear()
    for (const server of servers) this.#servers.set(server.address, server)
  }

  /** Whether it was taken care of. `local` has this member's own listeners handle it. */
  request(req: IncomingMessage, res: ServerResponse, event: string, local: () => void): boolean {
    const address = this.#addressOf(req.url)
    if (address === undefined) return false
    this.polls++
    res.once('close', () => this.polls--)
    const owner = this.#elsewhere(req, address)
    if (!owner) return false
    if (event === 'checkContinue') res.writeContinue()
    this.#forward(owner, req, res, local)
    return true
  }

  /** Whether it was taken care of. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    const address = this.#addressOf(req.url)
    if (address === undefined) return false
    const owner = this.#elsewhere(req, address)
    // Behind an answer that is still to come there is no moment at which the connection could leave.
    if (!owner || !(socket instanceof Socket) || hasUnfinishedAnswer(socket)) return false
    this.#move(owner, req, socket, head)
    return true
  }

  /** Nothing else would tell of a path that `hub.listen()` does not know: clients see unknown sessions for ever. */
  sessionOpened(url: string): void {
    // One server alone has all sessions, wherever they are looked for.
    if (this.#warnedOfPath || this.#servers.size < 2 || this.#paths.some((path) => isBelow(path, url))) return
    this.#warnedOfPath = true
    const paths = this.#paths.map((path) => JSON.stringify(`${path}/`)).join(' and ')
    process.emitWarning(
      `hub.listen(): a Socket.IO session was opened at ${JSON.stringify(url.replace(/\?.*/, ''))}, and sessions are looked ` +
        `for below ${paths} only. Its next request may reach a worker that does not know it. Give hub.listen({ path }) ` +
        'the path that the Socket.IO server has.',
      'Hubwire',
    )
  }

  #addressOf(url: string | undefined): number | undefined {
    if (url === undefined) return undefined
    for (const path of this.#paths) {
      const id = sessionOf(path, url)
      if (id === undefined) continue
      const address = addressOf(id)
      if (address === undefined) this.#warn()
      return address
    }
    return undefined
  }

  /** Nothing else would tell of an `attachSocketIo()` that was forgotten: clients see unknown sessions now and then. */
  #warn(): void {
    // One server alone knows all its sessions, whatever they are called.
    if (this.#warned || this.#servers.size < 2) return
    this.#warned = true
    process.emitWarning(
      'hub.serve(): a request names a Socket.IO session that no member of the hub has opened. Call attachSocketIo(io, ' +
        'hub) in every worker that serves Socket.IO. If you do, the client made it up, or is older than the hub.',
      'Hubwire',
    )
  }

  /** Who else owns the session; undefined when this member does, or nobody, or it has been forwarded already. */
  #elsewhere(req: IncomingMessage, address: number): HttpServerAt | undefined {
    if (this.#cameForwarded(req) || address === this.#member.address) return undefined
    const owner = this.#succession.resolve(address, (one) => this.#servers.has(one))
    return owner === this.#member.address ? undefined : this.#servers.get(owner)
  }

  /** What the header says of the client becomes what its socket says. */
  #cameForwarded(req: IncomingMessage): boolean {
    const value = req.headers[HEADER]
    if (typeof value !== 'string' || this.#secret === '') return false
    const [secret, remoteAddress = '', port, remoteFamily] = value.split(' ')
    if (secret !== this.#secret) return false
    delete req.headers[HEADER]
    const at = req.rawHeaders.findIndex((name, index) => index % 2 === 0 && name === HEADER)
    if (at >= 0) req.rawHeaders.splice(at, 2)
    const client = { remoteAddress, remotePort: Number(port), remoteFamily }
    for (const [name, told] of Object.entries(client)) {
      Object.defineProperty(req.socket, name, { value: told, configurable: true, enumerable: true })
    }
    return true
  }

  #forward(owner: HttpServerAt, req: IncomingMessage, res: ServerResponse, local: () => void): void {
    const hasBody = req.headers['content-length'] !== undefined || req.headers['transfer-encoding'] !== undefined
    const headers = passedOn(req.rawHeaders)
    // The owner keeps the connection open, and this end closes it: closed by the owner behind its answer, it could break
    // under the end of the request, which Node writes even where it is empty.
    headers.push('Connection', 'keep-alive', HEADER, this.#introduction(req.socket))
    if (req.headers['transfer-encoding'] !== undefined) headers.push('Transfer-Encoding', 'chunked')
    const outgoing = requestTo(owner, { method: req.method, path: req.url, headers })
    let answered = false

    outgoing.once('response', (incoming) => {
      answered = true
      res.sendDate = false
      res.writeHead(incoming.statusCode ?? 502, incoming.statusMessage, passedOn(incoming.rawHeaders))
      // An answer that takes its time begins at once.
      setImmediate(() => res.writableEnded || res.destroyed || res.flushHeaders())
      incoming.pipe(res)
      // The owner died in the middle of it: so does the answer, as it would have there.
      incoming.once('error', () => res.destroy())
    })
    outgoing.once('error', () => {
      if (answered) res.destroy()
      else if (res.destroyed) return
      // The owner is gone, and its sessions with it. This member does not know them, and says so in its own words …
      else if (!hasBody) local()
      // … unless a part of the request has been consumed.
      else answerUnknown(res)
    })
    res.once('close', () => {
      if (!res.writableFinished) outgoing.destroy()
    })
    if (hasBody) req.pipe(outgoing)
    else outgoing.end()
  }

  /** The connection goes to its owner, through the hub; or, where it cannot, its bytes do. */
  #move(owner: HttpServerAt, req: IncomingMessage, socket: Socket, head: Buffer): void {
    const onError = () => socket.destroy()
    socket.on('error', onError)
    const go = () => {
      // Answers to earlier requests may still be on their way out.
      if (socket.writableLength > 0) {
        socket.once('drain', go)
        return
      }
      const unread: unknown = socket.read()
      const bytes = unread instanceof Buffer ? Buffer.concat([head, unread]) : head
      const handle = detach(socket)
      if (handle) {
        const message: HttpToHub = { t: 'route', to: owner.address }
        const whole = Buffer.concat([requestHead(req, req.rawHeaders), bytes])
        this.#member.handles.add({ body: JSON.stringify(message), bytes: whole, handle })
      } else if (!socket.destroyed) {
        this.#tunnel(owner, req, socket, bytes)
      }
    }
    go()
  }

  #tunnel(owner: HttpServerAt, req: IncomingMessage, socket: Socket, head: Buffer): void {
    const upstream = connectTo(owner)
    upstream.on('error', () => socket.destroy())
    upstream.write(requestHead(req, [...req.rawHeaders, HEADER, this.#introduction(socket)]))
    upstream.write(head)
    upstream.pipe(socket)
    socket.pipe(upstream)
    socket.once('close', () => upstream.destroy())
    upstream.once('close', () => socket.destroy())
  }

  #introduction({ remoteAddress, remotePort, remoteFamily }: Socket): string {
    return `${this.#secret} ${remoteAddress ?? ''} ${remotePort ?? 0} ${remoteFamily ?? ''}`
  }
}

/** Over the private socket, where nobody else listens, a certificate proves nothing. */
function requestTo({ socket, tls: secure }: HttpServerAt, options: RequestOptions): ClientRequest {
  // A connection for each: one that is kept could be closed by the owner while the next request is on its way.
  const whole = { ...options, socketPath: socket, agent: false as const, setHost: false }
  return secure ? https.request({ ...whole, rejectUnauthorized: false }) : http.request(whole)
}

function connectTo({ socket, tls: secure }: HttpServerAt): Socket {
  return secure ? tls.connect({ path: socket, rejectUnauthorized: false }) : net.connect(socket)
}

/** Names and values in turn, as they came, without what is not passed on. */
function passedOn(rawHeaders: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (!HOP_BY_HOP.has(name.toLowerCase())) kept.push(name, rawHeaders[i + 1] as string)
  }
  return kept
}

/** A request's head as it stood on the connection. */
function requestHead({ method, url, httpVersion }: IncomingMessage, rawHeaders: readonly string[]): Buffer {
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`
  return Buffer.from(`${text}\r\n`, 'latin1')
}

function answerUnknown(res: ServerResponse): void {
  res.writeHead(400, { 'Content-Type': 'application/json', Connection: 'close' })
  res.end(SESSION_UNKNOWN)
}
