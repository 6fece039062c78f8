import type { IncomingMessage } from 'node:http'
import { checkOptions, show } from '../checks.js'
import { invalid } from '../errors.js'
import { FAILED, type Handover, type HandoverToMember } from '../handover.js'
import type { Member } from '../member.js'
import { FIRST_WEB_SOCKET } from '../relay/control.js'
import type { ServeOptions } from '../types.js'
import { pack, unpack } from '../wire/portable.js'
import type { Handle } from '../wire/transport.js'
import { isWebSocketServer, type WebSocket, type WebSocketServer } from './private-ws.js'
import { WebSocketArrivals } from './web-socket-arrivals.js'
import { WebSocketDepartures } from './web-socket-departures.js'
import { VERSION } from './web-socket-state.js'

/** The number under which two processes greet each other. */
const GREETING = FIRST_WEB_SOCKET
/** How often the other process is asked whether it serves by now, in milliseconds. */
const ASK = 100

export interface WebSocketOptions {
  readonly servers: readonly WebSocketServer[]
  readonly onHandover: (ws: WebSocket) => unknown
}

/** @throws {HubError} `ERR_INVALID_ARG_VALUE` */
export function readServeOptions(options: ServeOptions): WebSocketOptions | undefined {
  checkOptions(options, ['webSockets', 'onHandover'] satisfies (keyof ServeOptions)[], 'hub.serve()')
  const { webSockets, onHandover = () => undefined } = options
  if (typeof onHandover !== 'function') {
    throw invalid(`hub.serve(): onHandover must be a function, not ${show(onHandover)}.`)
  }
  if (webSockets === undefined) {
    if (options.onHandover) throw invalid('hub.serve(): onHandover is asked for webSockets: give their servers, too.')
    return undefined
  }
  const servers: unknown[] = Array.isArray(webSockets) ? webSockets : [webSockets]
  const known = servers.filter(isWebSocketServer)
  if (known.length < servers.length || servers.length === 0) {
    const other = servers.find((server) => !isWebSocketServer(server)) as { clients?: unknown } | undefined
    const hint =
      typeof other === 'object' && other !== null && 'handleUpgrade' in other ? ' It needs clientTracking.' : ''
    throw invalid(
      'hub.serve(): webSockets must be a WebSocketServer of the package ws, from 8.17 on, or an array of such, not ' +
        `${show(other ?? webSockets)}.${hint}`,
    )
  }
  // To us they are what ws keeps to itself.
  return { servers: known, onHandover: onHandover as WebSocketOptions['onHandover'] }
}

/** The plain WebSockets of a member's server: those that come from other processes, and go to them. */
export class WebSockets {
  readonly #member: Member
  readonly #arrivals: WebSocketArrivals
  readonly #departures: WebSocketDepartures
  readonly #servers: readonly WebSocketServer[]
  readonly #requests = new WeakMap<WebSocket, IncomingMessage>()
  readonly #forget: () => void
  #welcomed: ((ready: boolean) => void) | undefined

  constructor(member: Member, { servers, onHandover }: WebSocketOptions) {
    this.#member = member
    this.#servers = servers
    this.#arrivals = new WebSocketArrivals(member, servers)
    this.#departures = new WebSocketDepartures(member, servers, this.#requests, onHandover)
    for (const server of servers) server.prependListener('connection', this.#onConnection)
    this.#forget = member.handoverSteps.add((handover) => this.#handOver(handover))
  }

  /** The HTTP server has closed. */
  end(): void {
    for (const server of this.#servers) server.off('connection', this.#onConnection)
    this.#forget()
  }

  /** Some are about to go to another process, or are on their way. */
  get moving(): boolean {
    return this.#departures.moving
  }

  receive(message: HandoverToMember, handle: Handle | undefined): void {
    if (message.t === 'passed' && message.n === GREETING) this.#greet(message)
    else if (message.t === 'moved' || (message.t === 'passed' && isAnswer(message.op)))
      this.#departures.receive(message)
    else this.#arrivals.receive(message, handle)
  }

  readonly #onConnection = (ws: WebSocket, request: IncomingMessage | undefined) => {
    if (request) this.#requests.set(ws, request)
  }

  async #handOver(handover: Handover): Promise<void> {
    const { successor, signal } = handover
    const ready = new Promise<boolean>((resolve) => {
      this.#welcomed = resolve
      signal.addEventListener('abort', () => resolve(false), { once: true })
    })
    const ask = () => this.#say(successor.address, 'hello')
    // It may be ready, and come to serve later.
    const asking = setInterval(ask, ASK)
    ask()
    ready.then(() => clearInterval(asking))
    await this.#departures.run(handover, ready)
  }

  #greet({ from, op, data }: Extract<HandoverToMember, { t: 'passed' }>): void {
    if (op === 'hello') this.#say(from, 'welcome')
    else this.#welcomed?.(data !== undefined && unpack(data) === VERSION)
  }

  #say(to: number, op: 'hello' | 'welcome'): void {
    if (!this.#member.closed) this.#member.tell({ t: 'pass', to, n: GREETING, op, data: pack(VERSION, 'a greeting') })
  }
}

function isAnswer(op: string): boolean {
  return op === 'connected' || op === FAILED
}
