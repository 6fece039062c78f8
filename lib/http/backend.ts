import type { HttpServerAt } from '../relay/control.js'
import type { Peer } from '../relay/peer.js'
import { HandleLane, type LaneHooks } from '../wire/handle-lane.js'
import type { Connection } from './connection.js'

/** A member that does not take a connection for so long is wedged: it gets no more until it does. In milliseconds. */
const WEDGED_AFTER = 1000

/** One member that serves HTTP, as the router sees it. */
export class Backend {
  readonly peer: Peer
  serving = true
  /** Another one has taken over: only what belongs to its sessions goes there. */
  succeeded = false
  socket = ''
  tls = false
  /** When it was last chosen, as a sequence number: of equals the one that waited longest is next. */
  lastChosen = 0
  readonly #lane: HandleLane<Connection>
  /** Connections given to its lane, less those taken back. */
  #given = 0
  /** As it has told. */
  #taken = 0
  #open = 0

  constructor(peer: Peer, hooks: LaneHooks<Connection>) {
    this.peer = peer
    this.#lane = new HandleLane(peer.transport, hooks)
  }

  /** Whether connections that belong there go there. */
  get reachable(): boolean {
    return this.serving && (this.peer.ready || this.succeeded) && !this.#lane.ended
  }

  /** Whether others go there, too. */
  get available(): boolean {
    return this.reachable && !this.succeeded
  }

  get wedged(): boolean {
    return this.#lane.stuckFor > WEDGED_AFTER
  }

  /** Connections that are open there, or on their way. */
  get connections(): number {
    return Math.max(0, this.#open + this.#given - this.#taken)
  }

  get queued(): number {
    return this.#lane.waiting
  }

  get busy(): boolean {
    return this.#lane.stuckFor > 0
  }

  /** It takes nothing any more. */
  get ended(): boolean {
    return this.#lane.ended
  }

  isIn(role: string | undefined): boolean {
    return role === undefined || this.peer.place.role === role
  }

  reported(taken: number, open: number): void {
    this.#taken = taken
    this.#open = open
  }

  /** The parts of a server that others forward to. */
  at(): HttpServerAt {
    return { address: this.peer.address, socket: this.socket, tls: this.tls }
  }

  give(connection: Connection): void {
    this.#given++
    this.#lane.add(connection)
  }

  takeBack(fits: (connection: Connection) => boolean): Connection[] {
    // A session's connection has nowhere else to go.
    const back = this.#lane.withdraw((connection) => !connection.session && fits(connection))
    this.#given -= back.length
    return back
  }

  end(): Connection[] {
    return this.#lane.end()
  }
}
