import { randomBytes } from 'node:crypto'
import { Alarm } from '../alarm.js'
import { HubError } from '../errors.js'
import type { HttpToHub, HttpToMember, ToHub } from '../relay/control.js'
import type { Peer } from '../relay/peer.js'
import type { HttpStats } from '../types.js'
import type { Handle } from '../wire/transport.js'
import { Backend } from './backend.js'
import { type Connection, connectionFrom, type Entrance, sessionConnection } from './connection.js'
import { isRawHandle } from './raw-handle.js'
import { refuse } from './refusal.js'
import { hash } from './sticky.js'
import { Succession } from './succession.js'

/** How often waiting connections are looked at, in milliseconds. */
const SWEEP = 100

/** What may have been read of all connections that wait: of each it is as much as came with its first request. In bytes. */
const MAX_BYTES = 64 << 20

/** How long a connection may wait before somebody is told that nobody serves it, in milliseconds. */
const WORRY = 1000

/** For connections that come back from members, if nobody listens any more. */
const NO_ENTRANCE = { role: undefined, maxWaiting: 1000, waitTimeout: 10_000, closed: false, warned: false }

/** Decides which member gets a connection, and keeps those that nobody can have yet. */
export class Router {
  readonly #tell: (peer: Peer, message: HttpToMember) => void
  readonly #backends = new Map<Peer, Backend>()
  readonly #entrances = new Set<Entrance>()
  readonly #paths = new Set<string>()
  readonly #succession = new Succession()
  /** By which members know what another one has forwarded. */
  readonly #secret = randomBytes(18).toString('base64url')
  #waiting: Connection[] = []
  #chosen = 0
  #routed = 0
  #rerouted = 0
  #rejected = 0
  /** What has been read of connections that nobody has taken. */
  #pendingBytes = 0
  readonly #alarm: Alarm
  #timer: NodeJS.Timeout | undefined
  #ended = false

  /** `onFull`: connections are refused from now on, with so many bytes that wait. */
  constructor(tell: (peer: Peer, message: HttpToMember) => void, onFull: (bytes: number) => void = () => {}) {
    this.#tell = tell
    this.#alarm = new Alarm(() => onFull(this.#pendingBytes))
  }

  stats(): HttpStats {
    return {
      workers: [...this.#backends.values()].map((backend) => ({
        id: backend.peer.place.id,
        incarnation: backend.peer.incarnation,
        connections: backend.connections,
        queued: backend.queued,
        wedged: backend.wedged,
      })),
      reading: [...this.#entrances].reduce((sum, { reading }) => sum + (reading?.() ?? 0), 0),
      waiting: this.#waiting.length,
      waitingBytes: this.#pendingBytes,
      routed: this.#routed,
      rerouted: this.#rerouted,
      rejected: this.#rejected,
    }
  }

  // Entrances

  open(entrance: Entrance, path: string): void {
    this.#entrances.add(entrance)
    if (this.#paths.has(path)) return
    this.#paths.add(path)
    this.#announce()
  }

  /** Who waits there is told that nobody will come. The paths stay: connections that came in do. */
  close(entrance: Entrance): void {
    this.#entrances.delete(entrance)
    entrance.closed = true
    const fits = (connection: Connection) => connection.entrance === entrance
    for (const connection of this.#takeBack(fits)) this.#reject(connection)
  }

  /** The hub is closing: nobody will come for those that wait, and for those that come back from members. */
  end(): void {
    this.#ended = true
    this.#pump()
  }

  /** A new connection. */
  admit(connection: Connection): void {
    const { entrance } = connection
    const full = entrance.pending >= entrance.maxWaiting || this.#pendingBytes >= MAX_BYTES
    this.#count(connection, 1)
    if (full) {
      this.#alarm.raise()
      this.#reject(connection)
    } else {
      this.#route(connection)
    }
  }

  /** A connection was closed, because too many have not said enough yet. */
  crowded(): void {
    this.#rejected++
    this.#alarm.raise()
  }

  // Members

  http(peer: Peer, message: HttpToHub): void {
    let backend = this.#backends.get(peer)
    switch (message.t) {
      case 'serve':
        if (!backend) {
          backend = this.#enter(peer)
        }
        backend.serving = true
        backend.socket = message.socket
        backend.tls = message.tls
        this.#announce()
        this.#pump()
        break
      case 'unserve':
        if (!backend) return
        backend.serving = false
        this.#announce()
        this.#reroute(backend.takeBack(() => true))
        break
      case 'connections':
        backend?.reported(message.taken, message.open)
        break
    }
  }

  /** A member passes a connection on: it belongs to another, or it serves no more. */
  handle(peer: Peer, message: ToHub, handle: Handle, bytes: Uint8Array | undefined): void {
    if ((message.t !== 'route' && message.t !== 'take') || !isRawHandle(handle)) {
      peer.offend(() => new HubError('ERR_HUB_PROTOCOL', 'A handle came with a message that has none.'))
      handle.close()
      return
    }
    const { role } = peer.place
    const entrance = [...this.#entrances].find((one) => one.role === undefined || one.role === role) ?? {
      ...NO_ENTRANCE,
      role,
      pending: 0,
    }
    if (message.t === 'take') {
      this.admit(sessionConnection(entrance, handle, { from: peer.address, to: message.to, n: message.n }))
      return
    }
    this.#rerouted++
    const read = bytes && Buffer.from(bytes)
    const pinned = message.to !== undefined
    this.admit(connectionFrom(entrance, handle, read, { address: message.to }, { pinned, kept: message.kept }))
  }

  opened(peer: Peer): void {
    if (this.#backends.has(peer)) this.#pump()
  }

  shut(peer: Peer): void {
    const backend = this.#backends.get(peer)
    if (backend) this.#reroute(backend.takeBack(() => true))
  }

  /** Another member takes over what that one has. */
  succeeded(peer: Peer, successor: Peer): void {
    const backend = this.#backends.get(peer)
    if (!backend) return
    backend.succeeded = true
    this.#succession.add(peer.address, successor.address)
    this.#announce()
    this.#reroute(backend.takeBack(() => true))
  }

  /** Of these members the one with fewest connections, before those that serve none. */
  leastOf(peers: readonly Peer[]): Peer | undefined {
    const backends = peers.flatMap((peer) => this.#backends.get(peer) ?? [])
    const serving = backends.filter(({ available }) => available)
    return least(serving, ({ connections }) => connections)?.peer ?? peers[0]
  }

  gone(peer: Peer): void {
    // Sessions that waited for it to serve.
    this.#reroute(this.#takeBack(({ session, affinity }) => session === true && affinity.address === peer.address))
    const backend = this.#backends.get(peer)
    if (!backend) return
    this.#backends.delete(peer)
    this.#succession.forget(peer.address)
    this.#announce()
    this.#reroute(backend.end())
  }

  // Within

  #enter(peer: Peer): Backend {
    const backend = new Backend(peer, {
      taken: (connection) => {
        this.#count(connection, -1)
        this.#routed++
      },
      // Its process is about to end: `gone` comes, and finds nothing left.
      failed: (connections) => this.#reroute(connections),
    })
    this.#backends.set(peer, backend)
    return backend
  }

  #announce(): void {
    const servers = [...this.#backends.values()].filter((backend) => backend.serving).map((backend) => backend.at())
    const successors = this.#succession.pairs
    const message: HttpToMember = { t: 'servers', paths: [...this.#paths], servers, successors, secret: this.#secret }
    for (const { peer } of this.#backends.values()) this.#tell(peer, message)
  }

  #route(connection: Connection): void {
    const backend = this.#choose(connection)
    if (backend) {
      backend.lastChosen = ++this.#chosen
      backend.give(connection)
    } else if (this.#ended || connection.entrance.closed) {
      this.#reject(connection)
      return
    } else {
      this.#waiting.push(connection)
    }
    this.#timer ??= setInterval(() => {
      // After the next reading of the channels: when this process was busy, the answers may be waiting there.
      setImmediate(() => this.#sweep())
    }, SWEEP).unref()
  }

  #choose({ affinity, entrance, pinned, session }: Connection): Backend | undefined {
    if (session) {
      for (const backend of this.#backends.values()) {
        if (backend.peer.address === affinity.address && !backend.ended) return backend
      }
      return undefined
    }
    const candidates: Backend[] = []
    const owner = affinity.address === undefined ? undefined : this.#ownerOf(affinity.address, pinned)
    for (const backend of this.#backends.values()) {
      if (!backend.reachable || !backend.isIn(entrance.role)) continue
      const wedged = backend.wedged
      if (backend.peer.address === owner && (pinned || !wedged)) return backend
      if (!wedged && backend.available) candidates.push(backend)
    }
    if (candidates.length < 2) return candidates[0]
    const { key } = affinity
    if (key === undefined) return least(candidates, ({ connections }) => connections)
    // Each key prefers the seats in an order of its own: who comes or goes moves only the keys that are theirs.
    return least(candidates, ({ peer }) => hash(`${key}\0${peer.place.id}`))
  }

  /** A session may be handed over already, or not yet: who takes over knows. `pinned`: whoever sent it does. */
  #ownerOf(address: number, pinned: boolean): number | undefined {
    const serves = (one: number) => {
      for (const { peer, reachable } of this.#backends.values()) if (peer.address === one) return reachable
      return false
    }
    return pinned && serves(address) ? address : this.#succession.last(address, serves)
  }

  #pump(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const connection of waiting) this.#route(connection)
  }

  #reroute(connections: Connection[]): void {
    this.#rerouted += connections.length
    for (const connection of connections) {
      // Its session went to the member that did not take it.
      if (connection.session) this.#reject(connection)
      else this.#route(connection)
    }
  }

  #takeBack(fits: (connection: Connection) => boolean): Connection[] {
    const back = this.#waiting.filter(fits)
    this.#waiting = this.#waiting.filter((connection) => !fits(connection))
    for (const backend of this.#backends.values()) back.push(...backend.takeBack(fits))
    return back
  }

  /** A connection that nobody has taken comes in, or is off. */
  #count(connection: Connection, by: 1 | -1): void {
    const { entrance } = connection
    entrance.pending += by
    this.#pendingBytes += by * sizeOf(connection)
    if (by < 0) this.#alarm.settle(Math.max(entrance.pending / entrance.maxWaiting, this.#pendingBytes / MAX_BYTES), 1)
  }

  #reject(connection: Connection): void {
    this.#count(connection, -1)
    this.#rejected++
    if (connection.session) connection.handle.close()
    else refuse(connection.handle, 503, 'Retry-After: 1\r\n')
  }

  /** Nothing else would tell of a `hub.serve()` that was forgotten, or a role that was misspelt. */
  #warn(entrance: Entrance): void {
    if (entrance.warned) return
    for (const backend of this.#backends.values()) if (backend.serving && backend.isIn(entrance.role)) return
    entrance.warned = true
    const { role } = entrance
    const who = role === undefined ? 'no member serves HTTP' : `no member of role ${JSON.stringify(role)} serves HTTP`
    const where = role === undefined ? 'in a worker' : 'in its workers'
    process.emitWarning(`hub.listen(): connections wait, and ${who}. Call hub.serve(server) ${where}.`, 'Hubwire')
  }

  #sweep(): void {
    for (const backend of this.#backends.values()) {
      if (backend.wedged) this.#reroute(backend.takeBack(({ pinned }) => !pinned))
    }
    this.#pump()
    const now = performance.now()
    const expired = this.#takeBack(({ since, entrance }) => now - since > entrance.waitTimeout)
    for (const connection of expired) this.#reject(connection)
    for (const { since, entrance } of this.#waiting) if (now - since > WORRY) this.#warn(entrance)
    const idle = this.#waiting.length === 0 && ![...this.#backends.values()].some((backend) => backend.busy)
    if (!idle) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

function sizeOf({ body, bytes }: Connection): number {
  return body.length + (bytes?.byteLength ?? 0)
}

function least(candidates: readonly Backend[], of: (backend: Backend) => number): Backend | undefined {
  let best: Backend | undefined
  let value = Number.POSITIVE_INFINITY
  for (const backend of candidates) {
    const own = of(backend)
    if (own < value || (own === value && best && backend.lastChosen < best.lastChosen)) {
      best = backend
      value = own
    }
  }
  return best
}
