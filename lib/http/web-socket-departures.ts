import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { surface } from '../emitter.js'
import { FAILED, type Handover, type HandoverToMember } from '../handover.js'
import type { Member } from '../member.js'
import { Pace } from '../pace.js'
import { FIRST_WEB_SOCKET } from '../relay/control.js'
import { pack } from '../wire/portable.js'
import { OPEN, takeConnection, type WebSocket, type WebSocketServer, webSocketReadiness } from './private-ws.js'
import { requestHead } from './raw-handle.js'
import { endStandIn, hold, type Outgoing, standIn } from './stand-in.js'
import type { Order, WebSocketState } from './web-socket-state.js'

/** How often it is looked whether one can move, in milliseconds. */
const LOOK = 5
/** How long clients that stay have to close their connections, in milliseconds. */
const FAREWELL = 1000

/** What a client is told that cannot be handed over: it may come again. */
const SERVICE_RESTART = 1012

/** A WebSocket that another process takes over. */
interface Departure {
  readonly ws: WebSocket
  settled: boolean
  readonly onSettled: () => void
}

/** Gives the WebSockets of this process to another one, without their clients noticing. */
export class WebSocketDepartures {
  readonly #member: Member
  readonly #servers: readonly WebSocketServer[]
  readonly #requests: WeakMap<WebSocket, IncomingMessage>
  readonly #onHandover: (ws: WebSocket) => unknown
  readonly #departures = new Map<number, Departure>()
  readonly #held = new Map<WebSocket, { readonly messages: readonly Outgoing[]; release(): void }>()
  readonly #reasons = new Map<WebSocket, string>()
  #last = FIRST_WEB_SOCKET
  /** Who takes them; undefined before somebody does, and when nobody does any more. */
  #to: number | undefined
  #pace: Pace | undefined
  #looking: Promise<void> | undefined
  #over = false

  constructor(
    member: Member,
    servers: readonly WebSocketServer[],
    requests: WeakMap<WebSocket, IncomingMessage>,
    onHandover: (ws: WebSocket) => unknown,
  ) {
    this.#member = member
    this.#servers = servers
    this.#requests = requests
    this.#onHandover = onHandover
  }

  /**
   * Resolves when all that can go has gone, and the others have been told to come again. `ready`: whether the other
   * process takes any.
   */
  async run({ successor, within, signal }: Handover, ready: Promise<boolean>): Promise<void> {
    const end = () => this.#end()
    signal.addEventListener('abort', end, { once: true })
    if (await ready) {
      this.#to = successor.address
      this.#pace = new Pace(this.#member.handles, within)
      await this.#look()
    }
    this.#sayGoodbye()
    // What comes on a connection whose upgrade was still under way follows.
    const follow = () => this.#look().then(() => this.#sayGoodbye())
    for (const server of this.#servers) server.on('connection', follow)
    while (!signal.aborted && this.#isBusy()) await sleep(LOOK)
    const patience = performance.now() + FAREWELL
    // Those that the application has closed, too.
    const isClosing = () => this.#servers.some(({ clients }) => clients.size > 0)
    while (!signal.aborted && performance.now() < patience && isClosing()) await sleep(LOOK)
    // Those that still come have as long as the process has.
    signal.removeEventListener('abort', end)
  }

  receive(message: Extract<HandoverToMember, { t: 'moved' | 'passed' }>): void {
    const departure = this.#departures.get(message.n)
    if (!departure) return
    if (message.t === 'moved') {
      if (!message.taken) this.#settle(departure, false)
    } else if (message.from === this.#to && (message.op === 'connected' || message.op === FAILED)) {
      this.#settle(departure, message.op === 'connected')
    }
  }

  /** The time is up, or there is nobody to go to. */
  #end(): void {
    this.#over = true
    for (const departure of this.#departures.values()) this.#settle(departure, false)
    this.#sayGoodbye()
  }

  #look(): Promise<void> {
    this.#looking ??= this.#moveAll().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /** Until none is left that may still be able to move. */
  async #moveAll(): Promise<void> {
    const pace = this.#pace
    while (!this.#over && pace) {
      // What has been read is dispatched then.
      await turn()
      let taken = 0
      let waiting = 0
      const all = this.#servers.flatMap((server, index) => [...server.clients].map((ws) => ({ server, index, ws })))
      for (const [before, { server, index, ws }] of all.entries()) {
        if (this.#reasons.has(ws)) continue
        while (!this.#over && !pace.allows) await pace.next(all.length - before)
        if (this.#over) return
        if (ws.readyState !== OPEN) continue
        if (this.#tryToMove(server, index, ws, pace)) taken++
        else if (!this.#reasons.has(ws)) waiting++
      }
      if (taken + waiting === 0) return
      if (taken === 0) await pace.news()
    }
  }

  #tryToMove(server: WebSocketServer, index: number, ws: WebSocket, pace: Pace): boolean {
    const request = this.#requests.get(ws)
    const state = request
      ? webSocketReadiness(ws)
      : { never: "its server has not emitted 'connection' with it and its request" }
    if (typeof state === 'object') this.#reasons.set(ws, state.never)
    else if (state === 'writing' && !this.#held.has(ws)) this.#held.set(ws, hold(ws))
    if (state !== 'ready' || !request) return false
    this.#depart(server, index, ws, request, pace)
    return true
  }

  #depart(server: WebSocketServer, index: number, ws: WebSocket, request: IncomingMessage, pace: Pace): void {
    // What the application sends when it is asked moves, too.
    const { messages: unsent, release } = this.#held.get(ws) ?? hold(ws)
    this.#held.delete(ws)
    const app = this.#ask(ws)
    if (ws.readyState !== OPEN) {
      // It has closed it.
      release()
      return
    }
    const n = ++this.#last
    server.clients.delete(ws)
    standIn(ws, {
      send: (data) => this.#pass(n, { op: 'send', data }),
      close: (code, reason) => this.#pass(n, { op: 'close', data: { code, reason } }),
      terminate: () => this.#pass(n, { op: 'terminate' }),
    })
    const departure: Departure = { ws, settled: false, onSettled: pace.taken() }
    const { handle, unread } = takeConnection(ws)
    // It broke in this very turn.
    if (!handle) {
      this.#settle(departure, false)
      return
    }
    this.#departures.set(n, departure)
    const { protocol } = ws
    const state: WebSocketState = { server: index, request: requestHead(request), protocol, unread, unsent, app }
    const to = this.#to as number
    this.#member.tell({ t: 'move', to, n, sockets: [], state: pack(state, 'a WebSocket that moves') })
    // Behind what is told in this turn: what follows a handle waits until that is taken.
    queueMicrotask(() => this.#member.handles.add({ body: JSON.stringify({ t: 'take', to, n }), handle }))
  }

  /** What the application wants carried, if it can be. */
  #ask(ws: WebSocket): unknown {
    let app: unknown
    try {
      app = this.#onHandover(ws)
    } catch (error) {
      surface(error)
    }
    try {
      pack(app, 'what onHandover() of hub.serve() returned')
      return app
    } catch (error) {
      process.emitWarning(
        'What onHandover() of hub.serve() returned cannot be cloned, and stays behind. ' +
          'Return what the structured clone algorithm carries.',
        { type: 'Hubwire', code: 'ERR_HUB_PAYLOAD', detail: (error as Error).message },
      )
      return undefined
    }
  }

  #settle(departure: Departure, gone: boolean): void {
    if (departure.settled) return
    departure.settled = true
    departure.onSettled()
    try {
      if (gone) departure.ws.emit('handover')
      else endStandIn(departure.ws)
    } catch (error) {
      surface(error)
    }
  }

  /** Some are about to go, or are on their way. */
  get moving(): boolean {
    return this.#looking !== undefined || this.#isBusy()
  }

  #isBusy(): boolean {
    for (const { settled } of this.#departures.values()) if (!settled) return true
    return false
  }

  /** Those that stay: their clients are told that they may come again. Says once how many, and why. */
  #sayGoodbye(): void {
    const stay = this.#servers.flatMap(({ clients }) => [...clients]).filter(({ readyState }) => readyState === OPEN)
    if (stay.length === 0) return
    const otherwise =
      this.#to === undefined
        ? 'the process that takes over has no webSockets in hub.serve(), or is gone'
        : 'it was not at a point where it could move within handoverTimeout'
    const why = new Map<string, number>()
    for (const ws of stay) {
      const reason = this.#reasons.get(ws) ?? otherwise
      why.set(reason, (why.get(reason) ?? 0) + 1)
      this.#held.get(ws)?.release()
      ws.close(SERVICE_RESTART, 'service restart')
    }
    this.#held.clear()
    this.#member.tell({ t: 'unmoved', count: stay.length })
    const list = [...why].map(([reason, count]) => `${count}: ${reason}`).join('; ')
    const who = stay.length === 1 ? '1 WebSocket' : `${stay.length} WebSockets`
    process.emitWarning(`${who} could not be handed over, and had to be closed. ${list}.`, 'Hubwire')
  }

  #pass(n: number, { op, data }: Order): void {
    if (this.#member.closed || this.#to === undefined) return
    const packed = data !== undefined && { data: pack(data, 'what was sent on a WebSocket that has moved') }
    this.#member.tell({ t: 'pass', to: this.#to, n, op, ...packed })
  }
}
