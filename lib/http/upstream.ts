import http, { type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import https from 'node:https'
import net, { type Socket } from 'node:net'
import tls from 'node:tls'
import type { HttpServerAt } from '../relay/control.js'

/**
 * On requests that another member has forwarded: a secret that only members know, then the client's address, port and
 * family, and perhaps a wish. Without the secret it is a header like any other.
 */
const HEADER = 'x-hubwire-forwarded'

/**
 * What a member that forwards a poll, and is about to lose the connection that it came on, asks of the session's owner:
 * to answer this poll at once, or the one that is open.
 */
export type Wish = 'hurry' | 'release'

/** Of an answer's head: clients may take longer ones than Node's do by default. In bytes. */
const MAX_HEAD = 1 << 20

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

/** The header, as a name and a value, that introduces a client to another member. */
export function introduction(secret: string, socket: Socket, wish: Wish | '' = ''): [name: string, value: string] {
  const { remoteAddress = '', remotePort = 0, remoteFamily = '' } = socket
  return [HEADER, `${secret} ${remoteAddress} ${remotePort} ${remoteFamily} ${wish}`]
}

/**
 * Undefined when no member has forwarded the request. What the header says of the client becomes what its socket says, and
 * nobody sees the header.
 */
export function readIntroduction(req: IncomingMessage, secret: string): { wish: Wish | undefined } | undefined {
  const value = req.headers[HEADER]
  if (typeof value !== 'string' || secret === '') return undefined
  const [told, remoteAddress = '', port, remoteFamily, wish] = value.split(' ')
  if (told !== secret) return undefined
  delete req.headers[HEADER]
  const at = req.rawHeaders.findIndex((name, index) => index % 2 === 0 && name === HEADER)
  if (at >= 0) req.rawHeaders.splice(at, 2)
  const client = { remoteAddress, remotePort: Number(port), remoteFamily }
  for (const [name, own] of Object.entries(client)) {
    Object.defineProperty(req.socket, name, { value: own, configurable: true, enumerable: true })
  }
  return { wish: wish === 'hurry' || wish === 'release' ? wish : undefined }
}

/** Over the private socket, where nobody else listens, a certificate proves nothing. */
export function requestTo({ socket, tls: secure }: HttpServerAt, options: RequestOptions): ClientRequest {
  // A connection for each: one that is kept could be closed by the owner while the next request is on its way.
  const whole = { ...options, socketPath: socket, agent: false as const, setHost: false, maxHeaderSize: MAX_HEAD }
  return secure ? https.request({ ...whole, rejectUnauthorized: false }) : http.request(whole)
}

export function connectTo({ socket, tls: secure }: HttpServerAt): Socket {
  return secure ? tls.connect({ path: socket, rejectUnauthorized: false }) : net.connect(socket)
}

/** Names and values in turn, as they came, without what is not passed on. */
export function passedOn(rawHeaders: readonly string[]): string[] {
  return without(rawHeaders, (name) => HOP_BY_HOP.has(name))
}

/** A client may have made one up. */
export function withoutIntroduction(rawHeaders: readonly string[]): string[] {
  return without(rawHeaders, (name) => name === HEADER)
}

function without(rawHeaders: readonly string[], unwanted: (name: string) => boolean): string[] {
  const kept: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (!unwanted(name.toLowerCase())) kept.push(name, rawHeaders[i + 1] as string)
  }
  return kept
}

/** A request's head as it stood on the connection. */
export function headBytes({ method, url, httpVersion }: IncomingMessage, rawHeaders: readonly string[]): Buffer {
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`
  return Buffer.from(`${text}\r\n`, 'latin1')
}
