import { HubError } from './errors.js'
import { abandonHeld, deliverHeld } from './held.js'
import { namePrivateSockets } from './http/private-socket.js'
import { linkStats } from './link-stats.js'
import { FAILED, type HttpToHub, type Settings, type ToHub, type ToMember } from './relay/control.js'
import { readToHub } from './relay/control-reader.js'
import { Directory } from './relay/directory.js'
import { Lobby } from './relay/lobby.js'
import { Peer } from './relay/peer.js'
import type { Place } from './relay/place.js'
import type { RecoveryLimits } from './relay/recovery-log.js'
import { Switchboard } from './relay/switchboard.js'
import { Dispatcher } from './tasks/dispatcher.js'
import { after } from './timers.js'
import type {
  Exit,
  HandoverStats,
  LifecycleEvents,
  LinkStats,
  Member,
  MemberState,
  RecoveryStats,
  SlowQueue,
  TaskStats,
} from './types.js'
import { addressed, answerHello } from './welcome.js'
import { type Batch, readBatch } from './wire/batch.js'
import { Address, controlBody, controlFrame, Kind, readKind } from './wire/frame.js'
import type { Handle, Transport } from './wire/transport.js'

export interface ExchangeOptions extends Settings {
  slowAfter: number
  maxHeldBytes: number
  maxQueuedTasks: number
  recovery: RecoveryLimits
}

export interface ExchangeHooks {
  /** A member declared itself ready. Returns whether it may be: a seat that is being stopped no longer can. */
  ready(peer: Peer): boolean
  /** A member left, and its process goes on without the hub. */
  left(peer: Peer): void
  /** Something is told to all. */
  told<E extends keyof LifecycleEvents>(event: E, member: Member, info: Parameters<LifecycleEvents[E]>[1]): void
  /** A member takes messages from now on, or takes none any more, or is gone. */
  opened(peer: Peer): void
  shut(peer: Peer): void
  /** It takes none any more because another one does in its place. */
  succeeded(peer: Peer, successor: Peer): void
  gone(peer: Peer): void
  /** A member told something that is for `lib/http`. */
  http(peer: Peer, message: HttpToHub): void
  /** A member sent a handle, which is the hooks' from now on. */
  handle(peer: Peer, message: ToHub, handle: Handle, bytes: Uint8Array | undefined): void
}

/**
 * The hub's own half of every conversation: who joins, who is ready, what they listen to and serve, and what is told to
 * all. Knows links and places, no processes.
 */
export class Exchange {
  readonly directory: Directory
  readonly dispatcher: Dispatcher
  /** What the private sockets of members are called. */
  readonly sockets = namePrivateSockets()
  readonly #switchboard: Switchboard
  readonly #lobby: Lobby
  readonly #options: ExchangeOptions
  readonly #hooks: ExchangeHooks
  #movedSessions = 0
  #unmovedSessions = 0

  constructor(options: ExchangeOptions, hooks: ExchangeHooks) {
    this.#options = options
    this.#hooks = hooks
    this.directory = new Directory({
      ...options,
      onPressure: (place, producer, on) => this.tell(producer, { t: 'pressure', address: place.address, on }),
      onSlow: ({ place, queuedBytes }) => this.lifecycle('slow', place, { queue: 'link', queuedBytes }),
      onHeld: (place) => this.lifecycle('slow', place, { queue: 'held', queuedBytes: place.hold.bytes }),
      onOffence: (peer, error) => this.#reproach(peer, error),
    })
    this.dispatcher = new Dispatcher(this.directory, options, (bytes) => this.slow('tasks', bytes))
    const lobby = new Lobby(
      {
        tell: (peer, message) => this.tell(peer, message),
        tellAll: (message) => this.#tellAll(message),
        slow: (bytes) => this.slow('recovery', bytes),
      },
      options.recovery,
      options.maxPendingCalls,
    )
    this.#lobby = lobby
    const onControl = (peer: Peer, body: string) => this.#control(peer, body)
    const onRecoverable = lobby.relay.bind(lobby)
    this.#switchboard = new Switchboard(this.directory, this.dispatcher, onControl, lobby.rooms, onRecoverable)
  }

  addPlace(id: string, role: string | undefined): Place {
    const place = this.directory.addPlace(id, role)
    this.#announce(place)
    return place
  }

  removePlace(place: Place): void {
    abandonHeld(place, this.dispatcher)
    this.directory.removePlace(place)
    this.dispatcher.forgetPlace(place)
    this.dispatcher.settle()
    this.#tellAll({ t: 'removed', id: place.id })
  }

  /** A process takes the seat; it will say hello. */
  enter(place: Place, incarnation: number, transport: Transport): Peer {
    const peer = this.directory.enter(place, incarnation, transport)
    this.dispatcher.enter(peer)
    return peer
  }

  /** Whether any member has a Socket.IO server, and so sessions. */
  get hasSockets(): boolean {
    return this.#lobby.rooms.used
  }

  /** Frames that came from a member. Garbage is counted and shown to its sender, and costs nobody else anything. */
  receive(peer: Peer, batch: () => Batch | undefined, handle?: Handle): void {
    try {
      const received = batch()
      if (!received) return
      if (handle) this.#receiveHandle(peer, received, handle)
      else this.#switchboard.receive(peer, received)
    } catch (error) {
      peer.offend(() => error as Error)
    }
  }

  /** Whoever looks after the hub is told, and so is the member: its own log is where its mistake is looked for. */
  #reproach(peer: Peer, error: Error): void {
    const { message, stack } = error
    process.emitWarning(`${JSON.stringify(peer.place.id)} sent what the hub does not take: ${message}`, {
      type: 'Hubwire',
      code: 'ERR_HUB_PROTOCOL',
      detail: stack,
    })
    if (!peer.gone) this.tell(peer, { t: 'offence', message })
  }

  /** The seat's state as its supervisor sees it. */
  update(place: Place, state: MemberState, pid: number | undefined, incarnation = place.incarnation): void {
    const before = place.state
    place.state = state
    place.pid = pid
    // One that was to take over has the seat sooner: the process before it ended by itself.
    const next = place.peer ? undefined : place.peerOf(incarnation)
    if (next) this.directory.succeed(next)
    this.directory.version++
    if (state === 'stopping' && place.peer) this.shut(place.peer)
    this.#announce(place)
    // Who takes over from another one does not join: its seat was there all the time.
    if (state === 'ready' && before !== 'ready') this.lifecycle('join', place, undefined)
    if (state === 'stopped' || state === 'given-up') {
      abandonHeld(place, this.dispatcher)
      this.dispatcher.settle()
    }
  }

  /** The process is gone. */
  leave(peer: Peer, exit: Exit): void {
    const { place } = peer
    const current = place.peer === peer
    if (current) {
      place.away = false
      place.lastExit = exit
    }
    // Counted for the seat: its next process must not hide them.
    place.droppedEvents += peer.droppedEvents
    peer.droppedEvents = 0
    this.directory.leave(peer)
    this.dispatcher.leave(peer)
    this.#hooks.gone(peer)
    place.pressure.relieve()
    this.#lobby.leave(peer)
    this.#orphan(peer)
    if (current && peer.opened) this.lifecycle('leave', place, exit)
  }

  /** Asks a member to hand over what it holds, and then to end. */
  handOver(peer: Peer, successor: Peer, within: number, gracePeriod: number): void {
    peer.successor = successor
    if (peer.place !== successor.place) this.#hooks.succeeded(peer, successor)
    const { incarnation, address } = successor
    this.tell(peer, { t: 'handover', to: { id: successor.place.id, incarnation, address }, within, gracePeriod })
  }

  /** Nothing new goes to this member: what is for its seat waits for the next, or is answered when there is none. */
  shut(peer: Peer): void {
    if (!peer.ready) return
    peer.ready = false
    this.directory.version++
    this.dispatcher.closed(peer)
    this.#hooks.shut(peer)
    peer.place.pressure.relieve()
    this.#orphan(peer)
  }

  lifecycle<E extends keyof LifecycleEvents>(event: E, place: Place, info: Parameters<LifecycleEvents[E]>[1]): void {
    const member = place.snapshot()
    this.#hooks.told(event, member, info)
    this.#tellAll({ t: 'lifecycle', event, member, info })
  }

  /** A queue of the hub's own is at its bound. */
  slow(queue: SlowQueue, queuedBytes: number): void {
    const place = this.directory.place('primary')
    if (place) this.lifecycle('slow', place, { queue, queuedBytes })
  }

  /** Asks for a sign of life. */
  ping(peer: Peer): void {
    peer.ask(controlFrame(JSON.stringify({ t: 'ping' } satisfies ToMember)))
  }

  tell(peer: Peer, message: ToMember): void {
    peer.tell(controlFrame(JSON.stringify(message)))
  }

  stats(): LinkStats[] {
    return [...this.directory.places].flatMap((place) => linkStats(place, this.dispatcher))
  }

  taskStats(): TaskStats {
    return this.dispatcher.stats()
  }

  /** It ends, and nobody is there any more. */
  close(): void {
    this.#lobby.close()
  }

  /** Undefined where recovery is off. */
  recoveryStats(): RecoveryStats | undefined {
    const { log } = this.#lobby
    return log.used ? log.stats() : undefined
  }

  /** Undefined where no session was ever to be handed over. */
  handoverStats(): HandoverStats | undefined {
    const stats = { moved: this.#movedSessions, left: this.#unmovedSessions }
    return stats.moved + stats.left > 0 ? stats : undefined
  }

  /** The member with that address, if one of the two takes over from the other: nobody else has sessions to give. */
  #partner(peer: Peer, address: number): Peer | undefined {
    const entry = this.directory.entry(address)
    if (!(entry instanceof Peer) || entry.gone || entry.left) return undefined
    return peer.successor === entry || entry.successor === peer ? entry : undefined
  }

  #control(peer: Peer, body: string): void {
    const message = readToHub(body)
    switch (message.t) {
      case 'hello':
        this.#welcome(peer, message)
        break
      case 'listen':
        peer.registrations.listen(message.name, message.on)
        this.directory.version++
        break
      case 'any':
        peer.registrations.any = message.on
        this.directory.version++
        break
      case 'handle':
        this.dispatcher.handle(peer, message.name, message.concurrency ?? Number.POSITIVE_INFINITY)
        break
      case 'unhandle':
        this.dispatcher.unhandle(peer, message.name)
        break
      case 'ready':
        this.#open(peer)
        break
      case 'drained':
        this.#drained(peer, message.n, message.to)
        break
      case 'leave':
        this.#left(peer)
        break
      case 'attach':
      case 'detach':
      case 'rooms':
      case 'admit':
      case 'session':
      case 'session-rooms':
      case 'session-away':
      case 'session-end':
      case 'restore':
        this.#lobby.control(peer, message)
        break
      case 'move':
        if (this.#lobby.move(peer, this.#partner(peer, message.to), message)) this.#movedSessions++
        else this.#unmovedSessions++
        break
      case 'pass': {
        const { t: _, to, ...passed } = message
        const receiver = this.#partner(peer, to)
        this.#lobby.passes(peer, message)
        if (message.op === FAILED && this.#movedSessions > 0) {
          this.#movedSessions--
          this.#unmovedSessions++
        }
        if (receiver) this.tell(receiver, { t: 'passed', from: peer.address, ...passed })
        break
      }
      case 'unmoved':
        this.#unmovedSessions += message.count
        break
      case 'pong':
        if (message.n !== undefined) this.#lobby.answered(peer, message.n)
        break
      case 'serve':
      case 'unserve':
      case 'connections':
        this.#hooks.http(peer, message)
        break
      case 'route':
      case 'take':
        peer.offend(() => new HubError('ERR_HUB_PROTOCOL', 'A connection came without its handle.'))
        break
      default:
        message satisfies never
    }
  }

  /**
   * Its process stays without the hub. Most end soon after, and what comes meanwhile waits for the next one; but nobody
   * waits longer than `gracePeriod` for a process that may never end.
   */
  #left(peer: Peer): void {
    const { place } = peer
    peer.left = true
    this.shut(peer)
    this.#lobby.leave(peer)
    this.tell(peer, { t: 'left' })
    this.#hooks.left(peer)
    after(this.#options.gracePeriod, () => {
      if (place.peer !== peer) return
      place.away = true
      this.directory.version++
      abandonHeld(place, this.dispatcher)
      this.dispatcher.settle()
    })?.unref()
  }

  #receiveHandle(peer: Peer, batch: Batch, handle: Handle): void {
    let message: ToHub | undefined
    let bytes: Uint8Array | undefined
    try {
      readBatch(batch, (text, at, length, attachment) => {
        if (readKind(text, at) === Kind.Control) message = readToHub(controlBody(text, at, length))
        bytes = attachment
      })
    } finally {
      if (message?.t === 'take') this.#lobby.passes(peer, message)
      // The client is to know at once that its session has gone with whom it was for.
      const isLost = message?.t === 'take' && !this.#partner(peer, message.to)
      if (message && !isLost) this.#hooks.handle(peer, message, handle, bytes)
      else handle.close()
    }
  }

  #welcome(peer: Peer, hello: Extract<ToHub, { t: 'hello' }>): void {
    const answer = answerHello(peer, hello, this.directory, this.sockets, this.#options)
    if (answer.t === 'welcome') peer.joined = true
    this.tell(peer, answer)
  }

  #open(peer: Peer): void {
    if (peer.ready || !peer.joined || !this.#hooks.ready(peer)) return
    const { place } = peer
    const before = place.peer === peer ? undefined : place.peer
    // From here on all that is for the seat goes to this one.
    if (before) this.#retire(before, peer)
    peer.ready = true
    peer.opened = true
    place.known = peer.registrations
    this.directory.version++
    this.dispatcher.opened(peer)
    deliverHeld(peer, this.dispatcher)
    this.#hooks.opened(peer)
  }

  /** What it works on it finishes, and what was sent to it it gets; nothing else follows. */
  #retire(peer: Peer, successor: Peer): void {
    const wasReady = peer.ready
    this.directory.succeed(successor)
    if (!wasReady) return
    this.dispatcher.closed(peer)
    this.#hooks.succeeded(peer, successor)
    peer.place.pressure.relieve()
    this.#orphan(peer)
  }

  /** Who was handing over to this one has nobody to hand over to any more. */
  #orphan(successor: Peer): void {
    for (const peer of this.directory.peers) {
      if (peer.successor !== successor) continue
      peer.successor = undefined
      this.tell(peer, { t: 'orphaned' })
    }
  }

  async #drained(peer: Peer, n: number, to: readonly number[]): Promise<void> {
    // What came in the same batch counts at the end of this turn, when links look at their marks.
    await undefined
    const places = [...this.directory.places].filter(
      (place) => to.includes(Address.Everybody) || this.#isAmong(place, to),
    )
    await Promise.all(places.map((place) => place.pressure.under()))
    this.tell(peer, { t: 'drained', n })
  }

  #isAmong(place: Place, addresses: readonly number[]): boolean {
    const role = place.role === undefined ? undefined : this.directory.role(place.role)
    return addresses.includes(place.address) || (role !== undefined && addresses.includes(role.address))
  }

  #announce(place: Place): void {
    const role = place.role === undefined ? undefined : this.directory.role(place.role)
    this.#tellAll({ t: 'member', member: addressed(place), role: role && [role.name, role.address] })
  }

  #tellAll(message: ToMember): void {
    const frame = controlFrame(JSON.stringify(message))
    for (const peer of this.directory.peers) if (peer.joined) peer.tell(frame)
  }
}
