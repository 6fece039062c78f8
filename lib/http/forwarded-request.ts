import type { ClientRequest, IncomingMessage, OutgoingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HttpServerAt } from '../relay/control.js'
import { isOver, onceOver } from './request-end.js'
import { passedOn, requestTo } from './upstream.js'

/** When an owner is tried again that has too many connections to accept, in milliseconds. */
const TRY_AGAIN = 100

/** What engine.io says of a session that it does not know. */
const SESSION_UNKNOWN = '{"code":1,"message":"Session ID unknown"}'

/**
 * Sends a request on to its owner, and the answer back.
 * @param introduced The header that introduces the client.
 * @param failed Nobody has answered, and nothing of the request has been consumed. `busy`: the owner is there.
 */
export function forward(
  owner: HttpServerAt,
  req: IncomingMessage,
  res: ServerResponse,
  introduced: readonly string[],
  failed: (busy: boolean) => void,
): void {
  const outgoing = outgoingFor(owner, req, introduced)
  if (!outgoing) {
    res.writeHead(400).end()
    req.resume()
    return
  }
  let answered = false
  let consumed = false

  outgoing.once('response', (incoming) => {
    answered = true
    res.sendDate = false
    res.writeHead(incoming.statusCode ?? 502, incoming.statusMessage, passedOn(incoming.rawHeaders))
    // Behind another answer, Node would put the head before all that waits: a `100 Continue` stands there perhaps.
    if (res.socket === null) res.flushHeaders()
    // An answer that takes its time begins at once.
    setImmediate(() => res.writableEnded || res.destroyed || res.flushHeaders())
    incoming.once('end', () => {
      passTrailers(incoming, res)
      if (consumed) keepDraining(outgoing)
    })
    incoming.pipe(res)
    // The owner died in the middle of it: so does the answer, as it would have there.
    incoming.once('error', () => res.destroy())
  })
  outgoing.on('error', ({ code }: NodeJS.ErrnoException) => {
    // An answer that is not complete tells so itself; one that is, is, whatever becomes of the rest of the request.
    if (answered || isOver(res)) return
    // The owner is gone. Unless another one has its sessions this member does not know them, and says so in its own
    // words …
    if (code === 'EAGAIN') sleep(TRY_AGAIN).then(() => isOver(res) || failed(true))
    else if (!consumed) failed(false)
    // … unless a part of the request has been consumed.
    else res.writeHead(400, { 'Content-Type': 'application/json' }).end(SESSION_UNKNOWN)
  })
  onceOver(res, () => {
    if (!res.writableFinished) outgoing.destroy()
  })

  if (!hasBody(req)) {
    outgoing.end()
    return
  }
  // The owner may want to answer before any of the body comes.
  outgoing.flushHeaders()
  outgoing.once('socket', (socket) => {
    socket.once('connect', () => {
      consumed = true
      req.once('end', () => passTrailers(req, outgoing))
      req.pipe(outgoing)
    })
  })
  // What the owner did not want to read has to be: the next request stands behind it.
  outgoing.once('close', () => {
    if (!consumed) return
    req.unpipe(outgoing)
    req.resume()
  })
}

/** Undefined where the request has what Node lets nobody send: a lenient parser may have let it pass. */
function outgoingFor(
  owner: HttpServerAt,
  { method, url, headers, rawHeaders }: IncomingMessage,
  introduced: readonly string[],
): ClientRequest | undefined {
  // First, as servers look at so many headers and no more. The owner keeps the connection open, and this end closes it:
  // closed by the owner behind its answer, it could break under the end of the request, which Node writes even where it
  // is empty.
  const passed = [...introduced, 'Connection', 'keep-alive', ...passedOn(rawHeaders)]
  // HTTP/1.0 does without, and Node speaks 1.1 here.
  if (headers.host === undefined) passed.push('Host', '')
  if (headers['transfer-encoding'] !== undefined) passed.push('Transfer-Encoding', 'chunked')
  try {
    return requestTo(owner, { method, path: url, headers: passed })
  } catch {
    return undefined
  }
}

/** Node's client no longer tells when it drains once the answer is complete: the rest of the request would wait for ever. */
function keepDraining(outgoing: ClientRequest): void {
  const drained = () => outgoing.emit('drain')
  outgoing.socket?.on('drain', drained)
  // It may have, meanwhile.
  drained()
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
}

function passTrailers({ rawTrailers }: IncomingMessage, to: OutgoingMessage): void {
  const trailers: [string, string][] = []
  for (let i = 0; i + 1 < rawTrailers.length; i += 2) {
    trailers.push([rawTrailers[i] as string, rawTrailers[i + 1] as string])
  }
  try {
    if (trailers.length > 0) to.addTrailers(trailers)
  } catch {
    // As above: they are lost, and all else is not.
  }
}
