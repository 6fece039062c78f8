import type { IncomingMessage } from 'node:http'
import type { Namespace, Socket } from 'socket.io'
import type { Handover, HandoverToMember, SessionRoom, Whereabouts as Where } from '../handover.js'
import type { Member } from '../member.js'
import type { Handle } from '../wire/transport.js'
import { Arrivals } from './arrivals.js'
import { Departures, GONE, UNANSWERED } from './departures.js'
import { Doors } from './doors.js'
import { numberAcks } from './private-acks.js'
import { hasSession, releasePoll } from './private-engine.js'
import { canMove, makeNamespace, watchNamespace } from './private-sockets.js'
import { pack, unpack, VERSION } from './session-state.js'
import type { AnyServer } from './types.js'
import { Whereabouts } from './whereabouts.js'

/** What two processes say to each other before anything moves. */
interface Greeting {
  readonly version: number
  readonly namespaces: readonly string[]
}

/** The number under which they do. */
const GREETING = 0

/** The sessions of a Socket.IO server that come from other processes, and go to them. */
export class Moves implements SessionRoom {
  readonly doors: Doors
  readonly #io: AnyServer
  readonly #member: Member
  readonly #whereabouts = new Whereabouts()
  readonly #arrivals: Arrivals
  readonly #departures: Departures
  /** Who waits to be told that the successor is there, or why it takes no sessions. */
  readonly #greeted = new Map<number, (why: string | undefined) => void>()

  constructor(io: AnyServer, member: Member, onHandover: (socket: Socket) => unknown) {
    this.#io = io
    this.#member = member
    this.doors = new Doors((nsp) => this.#watch(nsp))
    this.#arrivals = new Arrivals(io, member, this.doors, this.#whereabouts)
    this.#departures = new Departures(io, member, this.doors, this.#whereabouts, onHandover)
  }

  start(): void {
    this.#member.openSessions(this)
    this.#member.handoverSteps.add((handover) => this.#handOver(handover))
  }

  find(id: string, isPoll: boolean): Where | undefined {
    return this.#whereabouts.find(id, isPoll) ?? (hasSession(this.#io, id) ? 'here' : undefined)
  }

  release(id: string, poll?: IncomingMessage): void {
    releasePoll(this.#io, id, poll)
  }

  receive(message: HandoverToMember, handle: Handle | undefined): void {
    try {
      this.#receive(message, handle)
    } catch (error) {
      // It cannot be read.
      this.#member.packets.unreadable('What a process told of a session of Socket.IO', error)
    }
  }

  #receive(message: HandoverToMember, handle: Handle | undefined): void {
    if (message.t === 'passed' && message.n === GREETING) this.#greet(message)
    else if (message.t === 'moved') this.#departures.receive(message)
    else {
      if (message.t === 'passed') this.#departures.receive(message)
      this.#arrivals.receive(message, handle)
    }
  }

  gone(address: number): void {
    this.#arrivals.gone(address)
    this.#departures.gone(address)
    this.#greeted.get(address)?.(GONE)
  }

  #watch(nsp: Namespace): void {
    numberAcks(nsp, this.#member.address)
    watchNamespace(nsp, (client, done) => this.#arrivals.adopt(nsp, client, done))
  }

  async #handOver(handover: Handover): Promise<void> {
    const { successor, signal } = handover
    if (!this.#io.engine) return
    const refused = new Promise<string | undefined>((resolve) => {
      if (!canMove(this.#io)) return resolve('this version of socket.io is not one that Hubwire knows')
      this.#greeted.set(successor.address, resolve)
      signal.addEventListener('abort', () => resolve(UNANSWERED), { once: true })
      const greeting: Greeting = { version: VERSION, namespaces: this.doors.names }
      this.#say(successor.address, 'hello', greeting)
    })
    await this.#departures.run(handover, refused)
  }

  #greet({ from, op, data }: Extract<HandoverToMember, { t: 'passed' }>): void {
    const { version, namespaces = [] } = (data ? unpack(data) : {}) as Partial<Greeting>
    if (op === 'welcome') {
      const why = version === VERSION ? undefined : 'the process that takes over cannot have sessions of this one'
      this.#greeted.get(from)?.(why)
      this.#greeted.delete(from)
      return
    }
    // What stands behind attachSocketIo() comes first: listeners, and which namespaces may be made.
    setImmediate(() => {
      for (const name of namespaces) makeNamespace(this.#io, name)
      // The hub shall know of those before anything moves.
      setImmediate(() => this.#say(from, 'welcome', { version: canMove(this.#io) ? VERSION : 0, namespaces: [] }))
    })
  }

  #say(to: number, op: string, greeting: Greeting): void {
    if (!this.#member.closed) this.#member.tell({ t: 'pass', to, n: GREETING, op, data: pack(greeting) })
  }
}
