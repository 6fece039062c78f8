import { surface } from '../emitter.js'
import { FAILED, type HandoverToMember } from '../handover.js'
import type { Member } from '../member.js'
import { unpack } from '../wire/portable.js'
import type { Handle } from '../wire/transport.js'
import { markHandedOver } from './handed-over.js'
import { openWebSocket, type WebSocket, type WebSocketServer } from './private-ws.js'
import { isRawHandle, type RawHandle, reviveRequest, wrap } from './raw-handle.js'
import { send } from './stand-in.js'
import type { Answer, Order, WebSocketState } from './web-socket-state.js'

/** How long one half of a WebSocket, its connection or its state, is kept without the other, in milliseconds. */
const PATIENCE = 30_000

/** A WebSocket that comes from another process. */
interface Arrival {
  readonly from: number
  readonly n: number
  state: WebSocketState | undefined
  handle: RawHandle | undefined
  ws: WebSocket | undefined
  /** What was ordered before it was here. */
  readonly early: Order[]
  readonly timer: NodeJS.Timeout
}

/** Takes WebSockets over from other processes. */
export class WebSocketArrivals {
  readonly #member: Member
  readonly #servers: readonly WebSocketServer[]
  readonly #arrivals = new Map<string, Arrival>()

  constructor(member: Member, servers: readonly WebSocketServer[]) {
    this.#member = member
    this.#servers = servers
  }

  receive(
    message: Extract<HandoverToMember, { t: 'moving' | 'taken' | 'passed' | 'lost' }>,
    handle: Handle | undefined,
  ): void {
    if (message.t === 'lost') {
      // Its connection went with the process that had it, and will not come.
      const lost = this.#arrivals.get(`${message.from} ${message.n}`)
      if (lost && !lost.ws) this.#lose(lost)
      return
    }
    const arrival = this.#arrivalOf(message.from, message.n)
    switch (message.t) {
      case 'moving':
        arrival.state = unpack(message.state) as WebSocketState
        this.#open(arrival)
        break
      case 'taken':
        if (!isRawHandle(handle)) handle?.close()
        else {
          arrival.handle = handle
          this.#open(arrival)
        }
        break
      case 'passed': {
        const order = { op: message.op, data: message.data && unpack(message.data) } as Order
        if (arrival.ws) obey(arrival.ws, order)
        else arrival.early.push(order)
      }
    }
  }

  #arrivalOf(from: number, n: number): Arrival {
    const key = `${from} ${n}`
    const known = this.#arrivals.get(key)
    if (known) return known
    const timer = setTimeout(() => this.#lose(arrival), PATIENCE).unref()
    const arrival: Arrival = { from, n, state: undefined, handle: undefined, ws: undefined, early: [], timer }
    this.#arrivals.set(key, arrival)
    return arrival
  }

  #lose(arrival: Arrival): void {
    const { from, n, timer, state, handle } = arrival
    clearTimeout(timer)
    this.#arrivals.delete(`${from} ${n}`)
    handle?.close()
    // Without, it was not counted as this one's.
    if (state) this.#answer(arrival, FAILED)
  }

  #open(arrival: Arrival): void {
    const { state, handle, early } = arrival
    if (!state || !handle) return
    clearTimeout(arrival.timer)
    const raw = wrap(handle)
    this.#member.http?.adopt(raw)
    try {
      const server = this.#servers[state.server]
      if (!server) throw new Error(`hub.serve() was given fewer servers here: there is no webSockets[${state.server}]`)
      const unread = Buffer.from(state.unread.buffer, state.unread.byteOffset, state.unread.byteLength)
      const ws = openWebSocket(server, raw, state.protocol, unread)
      arrival.ws = ws
      // What is done with it stays no longer than that.
      arrival.state = undefined
      arrival.handle = undefined
      ws.on('close', () => this.#arrivals.delete(`${arrival.from} ${arrival.n}`))
      markHandedOver(ws, state.app)
      // What was sent before comes before all that is sent here.
      for (const message of state.unsent) send(ws, message)
      for (const order of early) if (order.op === 'send') obey(ws, order)
      this.#tellApplication(server, ws, state, raw)
      for (const order of early.splice(0)) if (order.op !== 'send') obey(ws, order)
      this.#answer(arrival, 'connected')
    } catch (error) {
      raw.destroy()
      this.#arrivals.delete(`${arrival.from} ${arrival.n}`)
      this.#answer(arrival, FAILED)
      process.emitWarning(`A WebSocket could not be taken over: ${(error as Error).message}.`, 'Hubwire')
    }
  }

  /** Its own errors are its own: the WebSocket is here. */
  #tellApplication(
    server: WebSocketServer,
    ws: WebSocket,
    { request }: WebSocketState,
    raw: ReturnType<typeof wrap>,
  ): void {
    try {
      server.emit('connection', ws, reviveRequest(request, raw))
    } catch (error) {
      surface(error)
    }
  }

  #answer({ from, n }: Arrival, op: Answer): void {
    if (!this.#member.closed) this.#member.tell({ t: 'pass', to: from, n, op })
  }
}

function obey(ws: WebSocket, order: Order): void {
  switch (order.op) {
    case 'send':
      send(ws, order.data)
      break
    case 'close':
      ws.close(order.data.code, order.data.reason)
      break
    case 'terminate':
      ws.terminate()
  }
}
