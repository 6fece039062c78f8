import type { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'

/**
 * All that reaches into what the polling transport of engine.io keeps to itself. Checked against engine.io 6.5.2, 6.5.5 and
 * 6.6.13.
 */

type PollRequest = IncomingMessage & { res?: ServerResponse | null }

/** What we use of a transport that polls. */
export interface Polling extends EventEmitter {
  writable: boolean
  /** The poll that is open, or whose answer is being written. */
  readonly req?: PollRequest | null
  /** The request whose body is being read. */
  readonly dataReq?: PollRequest | null
  /** It closes with the next poll. */
  readonly shouldClose?: (() => void) | null
  onRequest(request: PollRequest): void
  send(packets: { type: string }[]): void
}

/** Whether a session that polls can be handed over, as `readiness` of `private-engine.ts`. */
export function pollingReadiness(transport: Polling): 'ready' | 'busy' | { never: string } {
  if (typeof transport.onRequest !== 'function' || typeof transport.send !== 'function') {
    return { never: 'this version of engine.io is not one that Hubwire knows' }
  }
  if (transport.dataReq || transport.shouldClose) return 'busy'
  return transport.req && !transport.writable ? 'busy' : 'ready'
}

/** Answers an open poll. */
export function release(transport: Polling): void {
  if (transport.req && transport.writable) transport.send([{ type: 'noop' }])
}

const hurried = new WeakSet<IncomingMessage>()
const hurrying = new WeakSet<Polling>()

/** Has a poll be answered at once when it is open. */
export function hurry(transport: Polling, poll: IncomingMessage): void {
  hurried.add(poll)
  if (hurrying.has(transport)) return
  hurrying.add(transport)
  const { onRequest } = transport
  transport.onRequest = function (request) {
    onRequest.call(this, request)
    if (hurried.has(request)) release(this)
  }
}

/** Whoever polls here is to ask again at once: then where the session is now. */
export function sendAway(transport: Polling): void {
  for (const event of ['packet', 'ready', 'drain', 'error', 'close']) transport.removeAllListeners(event)
  transport.on('error', () => {})
  release(transport)
  const { onRequest } = transport
  transport.onRequest = function (request) {
    if (request.method === 'GET') {
      onRequest.call(this, request)
      release(this)
    } else {
      // What it says would be lost. Only where the hub does not know the path of this server can it come here.
      request.res?.writeHead(400).end()
    }
  }
}

/** A transport of a session that has been opened elsewhere: the first request that it is given was answered there. */
export function resume(transport: Polling): void {
  const { onRequest } = transport
  transport.onRequest = () => {
    transport.onRequest = onRequest
  }
}
