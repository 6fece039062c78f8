import { HubError } from '../errors.js'
import { NO_ATTACHMENTS } from '../wire/batch.js'
import { ASKING, hasFlag, isWellFormed, KEPT, Kind, readCall, readLength } from '../wire/frame.js'
import { hubSequence, replayed } from '../wire/packet.js'
import { type HandoverToHub, RELEASED, type ToHub, type ToMember } from './control.js'
import { Passages } from './passages.js'
import type { Peer } from './peer.js'
import { type RecoveryLimits, RecoveryLog } from './recovery-log.js'
import { Returns } from './returns.js'
import { Rooms } from './rooms.js'

/** The control messages that are Socket.IO's. */
type Message = Extract<
  ToHub,
  {
    t:
      | 'attach'
      | 'detach'
      | 'rooms'
      | 'admit'
      | 'session'
      | 'session-rooms'
      | 'session-away'
      | 'session-end'
      | 'restore'
  }
>

/** How often old packets are forgotten, and members told how far they are, in milliseconds. */
const SWEEP = 1000

/** Members are also told how far they are when so large a part of what the hub keeps is new. */
const TELL_PART = 8

export interface LobbyHooks {
  tell(peer: Peer, message: ToMember): void
  tellAll(message: ToMember): void
  /** What is kept is at its bound, with so many bytes. */
  slow(bytes: number): void
}

/**
 * The hub's half of Socket.IO's conversation: who has which namespaces, what is in which rooms, who answers, and what
 * clients missed while they were away.
 */
export class Lobby {
  readonly rooms: Rooms
  readonly log: RecoveryLog<Peer>
  readonly #passages = new Passages<Peer>()
  readonly #returns: Returns<Peer>
  readonly #hooks: LobbyHooks
  readonly #limits: RecoveryLimits
  #timer: NodeJS.Timeout | undefined
  /** Who has recovery on, and how far it has been told that it is. */
  readonly #told = new Map<Peer, number>()
  /** What all have been told, and the bytes of packets since. */
  #toldAll = 0
  #untoldBytes = 0

  /** `maxQuestions`: see `Questions`. */
  constructor(hooks: LobbyHooks, limits: RecoveryLimits, maxQuestions = Number.POSITIVE_INFINITY) {
    this.#hooks = hooks
    this.#limits = limits
    this.log = new RecoveryLog(limits, () => performance.now(), hooks.slow)
    this.#returns = new Returns((holder, n) => hooks.tell(holder, { t: 'ping', n }))
    this.rooms = new Rooms((peer, call, to) => {
      hooks.tell(peer, { t: 'asked', call, to: to.map(({ address }) => address) })
    }, maxQuestions)
  }

  control(peer: Peer, message: Message): void {
    const { nsp } = message
    switch (message.t) {
      case 'attach':
        this.rooms.attach(peer, nsp)
        if (message.recovery) this.#recover(peer, nsp, message.recovery)
        this.#tellServers(nsp)
        break
      case 'detach':
        this.rooms.detach(peer, nsp)
        this.log.detach(peer, nsp)
        this.#tellServers(nsp)
        break
      case 'rooms':
        if (message.sockets) this.rooms.hold(peer, nsp, true)
        if (message.join) this.rooms.join(peer, nsp, message.join)
        // What was sent before did not go there: no client of it has missed that.
        if (message.sockets || message.join) this.#tellPosition(peer)
        if (message.leave) this.rooms.leave(peer, nsp, message.leave)
        if (message.sockets === false) this.rooms.hold(peer, nsp, false)
        break
      case 'admit':
        if (!isAdmission(message.frame)) {
          peer.offend(() => new HubError('ERR_HUB_PROTOCOL', 'What it has others admit is no packet of its own.'))
          break
        }
        for (const holder of this.rooms.admit(peer, nsp, message.to, message.rooms)) {
          this.#tellPosition(holder)
          holder.deliver(peer, message.frame, NO_ATTACHMENTS)
        }
        break
      case 'session':
        this.log.open(peer, nsp, message)
        break
      case 'session-rooms':
        this.log.moved(peer, nsp, message)
        break
      case 'session-away':
        this.log.lost(peer, nsp, message.pid, message.data)
        break
      case 'session-end':
        this.log.end(peer, nsp, message.pid)
        break
      case 'restore':
        this.#return(peer, message)
    }
  }

  /** A recoverable Packet of a batch: it is kept, and goes to whom it is for. */
  relay(from: Peer, text: string, at: number, length: number, attachments: readonly Uint8Array[]): void {
    // The place in its order is the hub's to give, and a call makes of a packet one that somebody has missed.
    if (hubSequence(text, at) !== 0 || readCall(text, at) !== 0) {
      from.offend(
        () => new HubError('ERR_HUB_PROTOCOL', 'It gave a packet the place in the order that only the hub gives.'),
      )
      return
    }
    if (hasFlag(text, at, ASKING)) {
      from.offend(
        () => new HubError('ERR_HUB_PROTOCOL', 'It asked with a packet that clients may get later: nobody answers.'),
      )
      return
    }
    const to = this.rooms.route(from, text, at)
    const logged = this.log.record(from, text, at, length, attachments)
    if (logged === undefined) {
      const frame = text.substring(at, at + length)
      for (const peer of to) peer.deliver(from, frame, attachments)
      return
    }
    // What is kept may wait as it is.
    for (const peer of to) peer.deliver(from, logged.frame, logged.attachments, true)
    this.#untoldBytes += length
    if (
      this.#untoldBytes * TELL_PART > this.#limits.maxBytes ||
      (this.log.sequence - this.#toldAll) * TELL_PART > this.#limits.maxPackets
    ) {
      this.#tellPositions()
    }
  }

  /**
   * Sockets move from one member to another. What has been relayed until now went to the first, and what follows goes to
   * the second, which counts as holding their rooms until it says otherwise; the first leaves them in its own time.
   * False when the second has not all of their namespaces.
   */
  move(from: Peer, to: Peer | undefined, message: Extract<HandoverToHub, { t: 'move' }>): boolean {
    const { n, polls = false, sockets, state } = message
    const taken = to !== undefined && sockets.every(({ nsp }) => this.rooms.servers(nsp).includes(to))
    if (taken) {
      for (const { nsp, pid, rooms } of sockets) {
        this.rooms.hold(to, nsp, true)
        this.rooms.join(to, nsp, rooms)
        if (pid !== undefined) this.log.handOver(from, to, nsp, pid)
      }
      // What was sent before reaches these clients through the first: they have not missed it.
      this.#tellPosition(to)
      const recoverable = sockets.flatMap(({ nsp, pid }) => (pid === undefined ? [] : [{ nsp, pid }]))
      this.#passages.begin(from, { to, n, polls, sockets: recoverable })
      this.#hooks.tell(to, { t: 'moving', from: from.address, n, state })
    }
    this.#hooks.tell(from, { t: 'moved', n, taken, hub: this.log.sequence })
    return taken
  }

  /** The first of two members says something about a session, or gives its connection. */
  passes(from: Peer, { t, n, op }: { t: 'pass' | 'take'; n: number; op?: string }): void {
    if (t === 'take') this.#passages.handed(from, n)
    else if (op === RELEASED) this.#passages.released(from, n)
  }

  /** The member is gone, or takes no more part. */
  leave(peer: Peer): void {
    this.#told.delete(peer)
    this.#abandon(peer)
    const had = this.rooms.clear(peer)
    for (const nsp of had) this.log.detach(peer, nsp)
    this.#returns.gone(peer)
    if (had.length === 0) return
    this.#hooks.tellAll({ t: 'gone', address: peer.address })
    for (const nsp of had) this.#tellServers(nsp)
  }

  /** Sessions that it has not handed over to an end: what is missing is lost with it. */
  #abandon(peer: Peer): void {
    for (const { to, n, sockets, hasHandle } of this.#passages.leave(peer)) {
      // It keeps its connection where nothing else would give its client what went astray.
      if (hasHandle && sockets.length === 0) continue
      for (const { nsp, pid } of sockets) this.log.abandon(to, nsp, pid)
      this.#hooks.tell(to, { t: 'lost', from: peer.address, n })
    }
  }

  #recover(peer: Peer, nsp: string, { session, packets }: { session: number | null; packets: number | null }): void {
    // JSON has no `Infinity`.
    const forever = Number.POSITIVE_INFINITY
    this.#told.set(peer, 0)
    this.log.attach(peer, nsp, { session: session ?? forever, packets: packets ?? forever })
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP).unref()
  }

  /** A client is back. Whoever may have its socket, for all that is known, is asked before it is refused. */
  #return(peer: Peer, message: Extract<Message, { t: 'restore' }>): void {
    const { nsp, n, pid, again = false } = message
    // While a session changes hands it is lost with either.
    const holders = new Set([this.#passages.giver(nsp, pid), this.log.holder(nsp, pid)])
    holders.delete(undefined)
    holders.delete(peer)
    if (again || holders.size === 0) {
      this.#restore(peer, message)
      return
    }
    this.#returns.wait(holders as Set<Peer>, () => {
      if (this.log.holder(nsp, pid)) this.#restore(peer, message)
      // What it sends until it asks again comes before that.
      else this.#hooks.tell(peer, { t: 'again', n })
    })
  }

  #restore(peer: Peer, { nsp, n, pid, offset }: Extract<Message, { t: 'restore' }>): void {
    // Each client that comes back may have missed all that is kept: where the queue is full it has to connect anew.
    const restored = this.log.restore(peer, nsp, pid, offset, peer.full)
    const hub = this.log.sequence
    if (!restored) {
      this.#hooks.tell(peer, { t: 'restored', n, hub, session: null })
      return
    }
    const { sid, rooms, data } = restored.session
    // What is sent from now on goes there, too, until the member has told of the joins, and takes these counts back.
    this.rooms.hold(peer, nsp, true)
    this.rooms.join(peer, nsp, rooms)
    for (const { sender, frame, attachments } of restored.missed) peer.deliver(sender, replayed(frame, n), attachments)
    this.#hooks.tell(peer, { t: 'restored', n, hub, session: { sid, rooms, data } })
  }

  #sweep(): void {
    this.log.sweep()
    this.#tellPositions()
    if (this.log.active) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #tellPositions(): void {
    this.#toldAll = this.log.sequence
    this.#untoldBytes = 0
    // One that does not read is told when it does: positions would be what fills its queue.
    for (const peer of this.#told.keys()) if (!peer.slow) this.#tellPosition(peer)
  }

  /** A member that gets few packets, and so its clients, are further than the last one of these. */
  #tellPosition(peer: Peer): void {
    const { sequence } = this.log
    const told = this.#told.get(peer)
    if (told === undefined || told === sequence) return
    this.#told.set(peer, sequence)
    this.#hooks.tell(peer, { t: 'position', hub: sequence })
  }

  /** A member has given a sign of life that it was asked for. */
  answered(peer: Peer, n: number): void {
    this.#returns.answered(peer, n)
  }

  /** The hub ends. */
  close(): void {
    this.#returns.close()
    clearInterval(this.#timer)
  }

  #tellServers(nsp: string): void {
    const servers = this.rooms.servers(nsp)
    const recovers = this.log.keeps(nsp)
    for (const server of servers) this.#hooks.tell(server, { t: 'members', nsp, count: servers.length, recovers })
  }
}

/**
 * Whether a member gave one whole Packet that can be passed on as it is: one that asks for nothing, has no place in the
 * hub's order, and does not take the next frame's attachment for its own.
 */
function isAdmission(text: string): boolean {
  return (
    isWellFormed(text, 0, text.length) &&
    readLength(text, 0) === text.length &&
    text.charCodeAt(4) === (Kind.Packet | KEPT)
  )
}
