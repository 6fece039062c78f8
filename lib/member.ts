import { EventEmitter } from 'node:events'
import { inspect } from 'node:util'
import { checkName, HubEmitter, LOCAL_EVENTS, surface } from './emitter.js'
import { HubError } from './errors.js'
import { HandoverSteps, type HandoverToMember, type SessionRoom } from './handover.js'
import type { HttpRoom } from './http/room.js'
import { Inbox } from './inbox.js'
import { Membership } from './membership.js'
import { printUnheard } from './notices.js'
import { Outbox } from './outbox.js'
import { Packets } from './packets.js'
import { parseTarget, Recipients } from './recipients.js'
import { FIRST_WEB_SOCKET, type Settings, type ToHub, type ToMember } from './relay/control.js'
import type { Validator } from './schema.js'
import { Scope } from './scope.js'
import { Handlers, readConcurrency } from './tasks/handlers.js'
import { PendingCalls } from './tasks/pending.js'
import { after } from './timers.js'
import type { HandleOptions, HubStats, LifecycleEvents, Member as MemberInfo, Target } from './types.js'
import type { Batch } from './wire/batch.js'
import { Address, callFrame, Kind } from './wire/frame.js'
import { HandleLane, type Parcel } from './wire/handle-lane.js'
import type { Handle, Transport } from './wire/transport.js'

/** More than these, and an application makes up targets as it goes: the cache starts anew. */
const MAX_CACHED = 1024

export interface MemberOptions {
  transport: Transport
  validator: Validator
  /** The hub asks this member to finish its work and to end. */
  onStop(): void
  /** The hub asks it to hand over what it holds before; and tells that nobody is there for that any more. */
  onHandover?(order: HandoverOrder): void
  onOrphaned?(): void
}

export type HandoverOrder = Extract<ToMember, { t: 'handover' }>

/**
 * The messaging API that primary and workers share. Everything that it sends goes to the hub, and everything comes from
 * there, what it sends to itself included: so the order between two members is the order of one channel.
 */
export class Member extends HubEmitter {
  readonly lifecycle = new EventEmitter()
  /** The traffic of Socket.IO. */
  readonly packets: Packets
  /** Handles towards the hub. */
  readonly handles: HandleLane
  /** What is done before this member ends, where another one takes over. */
  readonly handoverSteps = new HandoverSteps()
  /** What comes for `lib/http` goes there. */
  http: HttpRoom | undefined
  #sessions: SessionRoom | undefined
  /** What was told of sessions before anybody here had any. */
  #early: [HandoverToMember, Handle | undefined][] = []
  readonly #membership: Membership
  readonly #pending: PendingCalls
  readonly #handlers: Handlers
  readonly #outbox: Outbox
  readonly #inbox: Inbox
  readonly #orders: Pick<MemberOptions, 'onStop' | 'onHandover' | 'onOrphaned'>
  readonly #everybody = new Recipients('everybody')
  readonly #others = new Recipients('others')
  readonly #scopes = new Map<Target, Scope>()
  #scope: Scope

  constructor(options: MemberOptions) {
    super()
    const { transport, validator } = options
    this.#orders = options
    this.#membership = new Membership(
      transport,
      (error) => this.finish(error),
      () => this.#outboxFull(),
    )
    this.handles = new HandleLane<Parcel>(transport, {
      taken: () => {},
      // Without a hub nobody else can take them.
      failed: (parcels) => {
        for (const { handle } of parcels) handle.close()
      },
    })
    const { link } = this.#membership
    const onRefusedPayload = () => {
      this.#inbox.refusedPayloads++
    }
    this.#pending = new PendingCalls(
      validator,
      (call) => link.write(callFrame(Kind.Cancel, Address.Hub, call, '')),
      onRefusedPayload,
    )
    this.#handlers = new Handlers({
      validator,
      send: (header, body, attachment) => link.write(header, body, attachment && [attachment]),
      onRefusedPayload,
      maxMessageBytes: () => this.#membership.maxMessageBytes,
      refuses: () => {
        const { full } = this.#membership
        if (full) this.#membership.refuse()
        return full
      },
    })
    this.packets = new Packets(this.#membership, (what, error) => this.#inbox.refuse(what, error))
    this.#outbox = new Outbox(this.#membership, validator, this.#pending)
    this.#inbox = new Inbox({
      validator,
      emitter: this,
      handlers: this.#handlers,
      pending: this.#pending,
      packets: this.packets,
      control: (message, handle, bytes) => this.#control(message, handle, bytes),
    })
    this.#scope = this.#makeScope()
  }

  // Who

  get id(): string {
    return this.#membership.id
  }

  get role(): string | undefined {
    return this.#membership.role
  }

  get members(): readonly MemberInfo[] {
    return this.#membership.roster.members
  }

  /** For `console.log(hub)`: not what it is made of. */
  [inspect.custom](): string {
    const role = this.role === undefined ? '' : `, role: ${inspect(this.role)}`
    const state = this.closed ? 'closed' : this.members.find(({ id }) => id === this.id)?.state
    return `${this.constructor.name}Hub { id: ${inspect(this.id)}${role}, state: ${inspect(state)}, members: ${this.members.length} }`
  }

  // Messages

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    // A symbol is another one in every process: such an event can only be local.
    if (typeof event === 'symbol' || LOCAL_EVENTS.has(event)) return super.emit(event, ...args)
    return this.#outbox.send(this.#everybody, event, args)
  }

  broadcast(event: string, ...args: unknown[]): boolean {
    return this.#outbox.send(this.#others, event, args)
  }

  to(target: Target): Scope {
    const known = this.#scopes.get(target)
    if (known) return known
    const scope = this.#scope.to(target)
    if (typeof target === 'string' || typeof target === 'number') {
      if (this.#scopes.size >= MAX_CACHED) this.#scopes.clear()
      this.#scopes.set(target, scope)
    }
    return scope
  }

  timeout(ms: number): Scope {
    return this.#scope.timeout(ms)
  }

  signal(signal: AbortSignal): Scope {
    return this.#scope.signal(signal)
  }

  retry(times: number): Scope {
    return this.#scope.retry(times)
  }

  delegate(task: string, input?: unknown, ...more: unknown[]): Promise<unknown> {
    return this.#scope.delegate(task, input, ...more)
  }

  handle(task: string, handler: unknown, options: HandleOptions = {}): () => void {
    checkName(task, 'task')
    const attempt = `hub.handle(${JSON.stringify(task)})`
    const concurrency = readConcurrency(options, attempt)
    this.#membership.assertOpen(attempt)
    this.#handlers.add(task, handler)
    this.tell({ t: 'handle', name: task, concurrency: concurrency === Number.POSITIVE_INFINITY ? null : concurrency })
    let served = true
    return () => {
      if (!served) return
      served = false
      const forget = this.#handlers.retire(task)
      this.tell({ t: 'unhandle', name: task })
      // What the hub sent before it hears of this is still done: nobody else would be asked to.
      this.sync().then(forget, forget)
    }
  }

  // Flow and life

  async drained(target?: Target): Promise<void> {
    const { roster } = this.#membership
    this.#membership.assertOpen('hub.drained()')
    return this.#membership.barrier(
      target === undefined ? [Address.Everybody] : roster.addresses(parseTarget(target, 'hub.drained'), 'hub.drained'),
      'hub.drained()',
    )
  }

  ready(): void {
    this.#membership.ready()
  }

  stats(): HubStats {
    return {
      queuedBytes: this.#membership.link.queuedBytes,
      pendingCalls: this.#pending.size,
      runningTasks: this.#handlers.running,
      eventsSent: this.#outbox.eventsSent,
      eventsReceived: this.#inbox.eventsReceived,
      tasksServed: this.#handlers.served,
      refusedPayloads: this.#inbox.refusedPayloads,
      refused: this.#membership.refused,
    }
  }

  // For those who compose a hub of it

  get settings(): Settings {
    return this.#membership.settings
  }

  /** What the hub calls the private sockets of its members. */
  get sockets(): string {
    return this.#membership.sockets
  }

  /** The address of this incarnation. */
  get address(): number {
    return this.#membership.address
  }

  get closed(): boolean {
    return this.#membership.closed
  }

  /** The room whose sessions move from one process to another. */
  get sessions(): SessionRoom | undefined {
    return this.#sessions
  }

  /** It is told at once what came before it. */
  openSessions(room: SessionRoom): void {
    this.#sessions = room
    for (const [message, handle] of this.#early.splice(0)) room.receive(message, handle)
  }

  /** Resolves when the hub has welcomed this member. */
  join(): Promise<void> {
    return this.#membership.join()
  }

  /** Resolves when all that the hub has told so far has arrived here. */
  sync(attempt?: string): Promise<void> {
    return this.#membership.sync(attempt)
  }

  /** Asks the hub to send nothing new. What it sent before arrives before this resolves. */
  leave(): Promise<void> {
    return this.#membership.leave()
  }

  /** Resolves when the running tasks are answered and all is sent, or after `within` ms. */
  async drain(within = this.settings.gracePeriod): Promise<void> {
    const requests = this.http?.drain(within)
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise<void>((resolve) => {
      timer = after(within, () => {
        this.#handlers.abortAll(new HubError('ERR_HUB_CLOSED', 'The hub closes, and its grace period is over.'))
        resolve()
      })
    })
    await Promise.race([this.#handlers.idle(), patience])
    await requests
    // Nobody else has the connections that are on their way.
    await Promise.race([this.handles.idle(), patience])
    // Whoever goes on sending does not keep it open.
    await Promise.race([this.#membership.link.idle(), patience])
    clearTimeout(timer)
  }

  /** The hub is being closed, by this member or above it. What waits may still be answered. */
  protected beginClosing(): void {
    this.#pending.closing()
  }

  /** Takes no more part. What still waits is told. */
  finish(cause?: Error): void {
    if (this.#membership.closed) return
    this.#membership.close(cause)
    this.#pending.close(cause)
    this.packets.close()
    this.#membership.release(cause)
    this.#handlers.abortAll(new HubError('ERR_HUB_CLOSED', 'The hub was closed.', cause && { cause }))
  }

  /** @throws {HubError} `ERR_HUB_PROTOCOL` when the batch is malformed */
  receive(batch: Batch, handle?: Handle): void {
    this.#inbox.receive(batch, handle)
  }

  /** @internal */
  tell(message: ToHub): void {
    this.#membership.tell(message)
  }

  // HubEmitter

  protected override listenTo(event: string, on: boolean): void {
    this.tell({ t: 'listen', name: event, on })
  }

  protected override listenToAll(on: boolean): void {
    this.tell({ t: 'any', on })
  }

  // Within

  /** The hub cannot be told: only this process is. Later, because it may be in the middle of sending. */
  #outboxFull(): void {
    const info = { queue: 'outbox', queuedBytes: this.#membership.link.queuedBytes } as const
    setImmediate(() => {
      const self = this.members.find(({ id }) => id === this.id)
      if (!self) return
      printUnheard(this.lifecycle, 'slow', self, info)
      this.#tellLifecycle('slow', self, info)
    })
  }

  #tellLifecycle(event: keyof LifecycleEvents, member: MemberInfo, info: unknown): void {
    try {
      this.lifecycle.emit(event, Object.freeze(member), info)
    } catch (error) {
      surface(error)
    }
  }

  #makeScope(): Scope {
    const { timeout } = this.#membership.settings
    return new Scope(this.#outbox, this.#everybody, { timeout, signal: undefined, retries: 0 })
  }

  #control(message: ToMember, handle: Handle | undefined, bytes: Uint8Array | undefined): void {
    switch (message.t) {
      case 'welcome':
        this.#membership.control(message)
        // They were made with other settings.
        this.#scopes.clear()
        this.#scope = this.#makeScope()
        break
      case 'lifecycle':
        this.#tellLifecycle(message.event, message.member, message.info)
        break
      case 'gone':
        this.packets.control(message)
        this.#sessions?.gone(message.address)
        break
      case 'moving':
      case 'moved':
      case 'passed':
      case 'lost':
      case 'taken':
        if (message.n >= FIRST_WEB_SOCKET) {
          if (this.http) this.http.webSocket(message, handle)
          else handle?.close()
        } else if (this.#sessions) this.#sessions.receive(message, handle)
        else this.#early.push([message, handle])
        break
      case 'members':
      case 'asked':
      case 'position':
      case 'restored':
      case 'again':
        this.packets.control(message)
        break
      case 'offence':
        process.emitWarning(`${JSON.stringify(this.id)} sent what the hub does not take: ${message.message}`, {
          type: 'Hubwire',
          code: 'ERR_HUB_PROTOCOL',
        })
        break
      case 'stop':
        this.#orders.onStop()
        break
      case 'handover':
        this.#orders.onHandover?.(message)
        break
      case 'orphaned':
        this.#orders.onOrphaned?.()
        break
      case 'connection':
      case 'servers':
        if (this.http) this.http.receive(message, handle, bytes)
        else handle?.close()
        break
      default:
        this.#membership.control(message)
    }
  }
}
