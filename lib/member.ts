import { EventEmitter } from 'node:events'
import { checkName, HubEmitter, LOCAL_EVENTS, surface } from './emitter.js'
import { HubError, invalid } from './errors.js'
import { Packets } from './packets.js'
import { parseTarget, Recipients } from './recipients.js'
import { type HttpToMember, PROTOCOL, readSettings, type Settings, type ToHub, type ToMember } from './relay/control.js'
import { Roster } from './roster.js'
import { isThenable, type Validator } from './schema.js'
import { type Messenger, Scope } from './scope.js'
import { checkOptions, show } from './supervisor/checks.js'
import { Handlers } from './tasks/handlers.js'
import { aborted, type CallOptions, describeCall, PendingCalls } from './tasks/pending.js'
import { after } from './timers.js'
import type { HandleOptions, HubStats, Member as MemberInfo, Sender, Target } from './types.js'
import { VERSION } from './version.js'
import { type Batch, readBatch } from './wire/batch.js'
import { type Body, decodeArguments, decodeError, decodeValue, encodeArguments, encodeValue } from './wire/codec.js'
import {
  Address,
  ATTACHED,
  callBody,
  callFrame,
  controlBody,
  controlFrame,
  DONE,
  eventBody,
  eventHead,
  eventHeader,
  eventName,
  Kind,
  MAX_TEXT_LENGTH,
  RAISED,
  readAddress,
  readCall,
  readKind,
  readSender,
  requestHeader,
  SINGLE,
  sameEventHead,
  VALIDATED,
} from './wire/frame.js'
import { HandleLane, type Parcel } from './wire/handle-lane.js'
import { Link } from './wire/link.js'
import type { Handle, Transport } from './wire/transport.js'

/** Until the hub's welcome tells. */
const DEFAULT_SETTINGS: Settings = {
  timeout: 30_000,
  highWaterMark: 1 << 20,
  maxQueueBytes: 64 << 20,
  gracePeriod: 10_000,
}

/** More than these, and an application makes up names as it goes: the caches start anew. */
const MAX_CACHED = 1024

export interface MemberOptions {
  transport: Transport
  validator: Validator
  /** The hub asks this member to finish its work and to end. */
  onStop(): void
}

/** What a room beside the messages is given of what comes from the hub. */
export interface HttpRoom {
  /** The handle, if there is one, is the room's from now on. */
  receive(message: HttpToMember, handle: Handle | undefined, bytes: Uint8Array | undefined): void
  /** Resolves when no request is in progress any more, or half of `within` milliseconds is over. */
  drain(within: number): Promise<void>
}

/**
 * The messaging API that primary and workers share. Everything that it sends goes to the hub, and everything comes from
 * there, what it sends to itself included: so the order between two members is the order of one channel.
 */
export class Member extends HubEmitter implements Messenger {
  readonly lifecycle = new EventEmitter()
  /** The traffic of Socket.IO. */
  readonly packets: Packets
  /** Handles towards the hub. */
  readonly handles: HandleLane
  /** What comes for `lib/http` goes there. */
  http: HttpRoom | undefined
  readonly #link: Link
  readonly #validator: Validator
  readonly #roster = new Roster()
  readonly #pending: PendingCalls
  readonly #handlers: Handlers
  readonly #onStop: () => void
  readonly #everybody = new Recipients('everybody')
  readonly #others = new Recipients('others')
  readonly #scopes = new Map<Target, Scope>()
  readonly #warned = new Set<string>()
  readonly #barriers = new Map<number, { resolve: () => void; reject: (error: Error) => void }>()
  #lastBarrier = 0
  #settings = DEFAULT_SETTINGS
  #id = ''
  #role: string | undefined
  #address = 0
  #state: 'joining' | 'joined' | 'ready' | 'closed' = 'joining'
  #scope: Scope
  #onWelcome: (() => void) | undefined
  #onRefused: ((error: HubError) => void) | undefined
  #onLeft: (() => void) | undefined
  #eventsSent = 0
  #eventsReceived = 0
  #refusedPayloads = 0

  constructor({ transport, validator, onStop }: MemberOptions) {
    super()
    this.#validator = validator
    this.#onStop = onStop
    this.#link = new Link(transport, {
      highWaterMark: DEFAULT_SETTINGS.highWaterMark,
      onBroken: (error) => this.finish(error),
    })
    this.handles = new HandleLane<Parcel>(transport, {
      taken: () => {},
      // Without a hub nobody else can take them.
      failed: (parcels) => {
        for (const { handle } of parcels) handle.close()
      },
    })
    const onRefusedPayload = () => {
      this.#refusedPayloads++
    }
    this.#pending = new PendingCalls(
      validator,
      (call) => this.#link.write(callFrame(Kind.Cancel, Address.Hub, call, '')),
      onRefusedPayload,
    )
    this.#handlers = new Handlers({
      validator,
      send: (header, body, attachment) => this.#link.write(header, body, attachment && [attachment]),
      onRefusedPayload,
    })
    this.#scope = this.#makeScope()
    const member = this
    this.packets = new Packets({
      write: (start, rest, attachments) => this.#link.write(start, rest, attachments),
      tell: (message) => this.tell(message),
      sync: () => this.sync(),
      get closed() {
        return member.closed
      },
    })
  }

  // Who

  get id(): string {
    return this.#id
  }

  get role(): string | undefined {
    return this.#role
  }

  get members(): readonly MemberInfo[] {
    return this.#roster.members
  }

  // Messages

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    // A symbol is another one in every process: such an event can only be local.
    if (typeof event === 'symbol' || LOCAL_EVENTS.has(event)) return super.emit(event, ...args)
    return this.send(this.#everybody, event, args)
  }

  broadcast(event: string, ...args: unknown[]): boolean {
    return this.send(this.#others, event, args)
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

  delegate(task: string, input?: unknown): Promise<unknown> {
    return this.#scope.delegate(task, input)
  }

  handle(task: string, handler: unknown, options: HandleOptions = {}): () => void {
    checkName(task, 'task')
    const attempt = `hub.handle(${JSON.stringify(task)})`
    checkOptions(options, ['concurrency'], attempt)
    const { concurrency = Number.POSITIVE_INFINITY } = options
    if (concurrency !== Number.POSITIVE_INFINITY && !(Number.isInteger(concurrency) && concurrency > 0)) {
      throw invalid(`${attempt}: concurrency must be a whole number from 1 on, or Infinity, not ${show(concurrency)}.`)
    }
    this.#assertOpen(attempt)
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
    this.#assertOpen('hub.drained()')
    return this.#barrier(
      target === undefined ? [Address.Everybody] : this.#roster.addresses(parseTarget(target), 'hub.drained'),
    )
  }

  ready(): void {
    this.#assertOpen('hub.ready()')
    if (this.#state !== 'joined') return
    this.#state = 'ready'
    this.tell({ t: 'ready' })
  }

  stats(): HubStats {
    return {
      queuedBytes: this.#link.queuedBytes,
      pendingCalls: this.#pending.size,
      runningTasks: this.#handlers.running,
      eventsSent: this.#eventsSent,
      eventsReceived: this.#eventsReceived,
      tasksServed: this.#handlers.served,
      refusedPayloads: this.#refusedPayloads,
    }
  }

  // For those who compose a hub of it

  get settings(): Settings {
    return this.#settings
  }

  /** The address of this incarnation. */
  get address(): number {
    return this.#address
  }

  get closed(): boolean {
    return this.#state === 'closed'
  }

  /** Resolves when the hub has welcomed this member. */
  join(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onWelcome = resolve
      this.#onRefused = reject
      this.tell({ t: 'hello', protocol: PROTOCOL, version: VERSION })
    })
  }

  /** Resolves when all that the hub has told so far has arrived here. */
  async sync(): Promise<void> {
    if (this.#state !== 'closed') await this.#barrier([Address.Hub])
  }

  /** Asks the hub to send nothing new. What it sent before arrives before this resolves. */
  leave(): Promise<void> {
    if (this.#state === 'closed') return Promise.resolve()
    return new Promise((resolve) => {
      this.#onLeft = resolve
      this.tell({ t: 'leave' })
    })
  }

  /** Resolves when the running tasks are answered and all is sent; it does not wait longer for tasks than `within` ms. */
  async drain(within = this.#settings.gracePeriod): Promise<void> {
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
    clearTimeout(timer)
    await this.#link.idle()
  }

  /** Takes no more part. What still waits is told. */
  finish(cause?: Error): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    const options = cause && { cause }
    this.#onRefused?.(new HubError('ERR_HUB_CLOSED', 'The channel to the hub closed before the hub answered.', options))
    this.#pending.close(cause)
    this.packets.close()
    const error = new HubError('ERR_HUB_CLOSED', 'hub.drained(): the hub was closed.', options)
    for (const { reject } of this.#barriers.values()) reject(error)
    this.#barriers.clear()
    this.#handlers.abortAll(new HubError('ERR_HUB_CLOSED', 'The hub was closed.', options))
    this.#onLeft?.()
  }

  /** @throws {HubError} `ERR_HUB_PROTOCOL` when the batch is malformed */
  receive(batch: Batch, handle?: Handle): void {
    let sender: Sender | undefined
    let senderAddress = 0
    let lastEvent = -1
    let name = ''
    readBatch(batch, (text, at, length, bytes) => {
      const flags = text.charCodeAt(at + 4)
      switch (readKind(text, at)) {
        case Kind.Event:
          if (!sender) throw new HubError('ERR_HUB_PROTOCOL', 'An event came without its sender.')
          // The usual case: the same event as before, whose name need not be cut out again.
          if (lastEvent < 0 || !sameEventHead(text, lastEvent, at)) name = eventName(text, at)
          lastEvent = at
          this.#receiveEvent(name, text.substring(eventBody(text, at), at + length), bytes, flags, sender)
          break
        case Kind.Request:
          if (!sender) throw new HubError('ERR_HUB_PROTOCOL', 'A request came without its sender.')
          this.#handlers.request(text, at, length, bytes, flags, sender, senderAddress)
          break
        case Kind.Response:
          this.#pending.answered(readCall(text, at), text.substring(callBody(at), at + length), bytes, flags)
          break
        case Kind.Failure: {
          const server = sender ? `member ${JSON.stringify(sender.id)}` : 'another member'
          const body = text.substring(callBody(at), at + length)
          this.#pending.failed(readCall(text, at), () => {
            const error = decodeError(body, bytes, server)
            return flags & RAISED ? raisedAt(server, error) : error
          })
          break
        }
        case Kind.Refusal:
          this.#pending.refused(readCall(text, at), text.substring(callBody(at), at + length))
          break
        case Kind.Cancel:
          this.#handlers.cancel(senderAddress, readCall(text, at))
          break
        case Kind.Sender:
          sender = readSender(text, at, length)
          senderAddress = readAddress(text, at)
          break
        case Kind.Packet:
          this.packets.packet(text, at, length, bytes, flags, senderAddress)
          break
        case Kind.Answer:
          this.packets.answered(text, at, bytes, (flags & DONE) !== 0, senderAddress)
          break
        default:
          this.#receiveControl(JSON.parse(controlBody(text, at, length)) as ToMember, handle, bytes)
      }
    })
  }

  // Messenger

  send(to: Recipients, event: string, args: unknown[]): boolean {
    if (this.#state === 'closed') this.#assertOpen(`emit(${JSON.stringify(event)})`)
    const heads = this.#heads(to, event)
    let flags = 0
    let values = args
    if (this.#validator.hasEvent(event)) {
      values = this.#validator.eventArguments(event, args)
      flags = VALIDATED
    }
    let body: Body
    if (values.length === 1) {
      body = encodeValue(values[0], 'event', event, 'args[0]')
      flags |= SINGLE
    } else {
      body = encodeArguments(values, 'event', event)
    }
    const { text, bytes } = checkSize(body)
    if (this.#link.queuedBytes > this.#settings.maxQueueBytes) {
      throw this.#overloaded(`emit(${JSON.stringify(event)}) to ${to}`)
    }
    if (bytes) flags |= ATTACHED
    for (const head of heads) this.#link.write(eventHeader(flags, head, text.length), text, bytes && [bytes])
    this.#eventsSent++
    return !this.#link.over && !this.#roster.isPressed(to)
  }

  call(to: Recipients, task: string, input: unknown, options: CallOptions): Promise<unknown> {
    try {
      checkName(task, 'task')
      if (this.#state === 'closed') this.#assertOpen(describeCall(to, task))
      if (!this.#validator.hasInput(task)) return this.#ask(to, task, input, 0, options)
      const validated = this.#validator.taskInput(task, input)
      if (!isThenable(validated)) return this.#ask(to, task, validated, VALIDATED, options)
      return this.#askLater(to, task, validated, options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  idsOf(to: Recipients): string[] {
    if (to.kind !== 'role') return [...to.ids]
    this.#roster.role(to.role, () => `gather() to ${to}`)
    return this.#roster.inRole(to.role).map((member) => member.id)
  }

  // HubEmitter

  protected override listenTo(event: string, on: boolean): void {
    this.tell({ t: 'listen', name: event, on })
  }

  protected override listenToAll(on: boolean): void {
    this.tell({ t: 'any', on })
  }

  // Within

  #makeScope(): Scope {
    return new Scope(this, this.#everybody, { timeout: this.#settings.timeout, signal: undefined, retries: 0 })
  }

  /** The heads of an event's frames, one for each address that it goes to. */
  #heads(to: Recipients, event: string): readonly string[] {
    const addresses = this.#roster.addresses(to, 'emit', event)
    const known = to.heads.get(event)
    if (known) return known
    checkName(event, 'event')
    if (LOCAL_EVENTS.has(event)) {
      throw invalid(`"${event}" is a local event of every emitter, and never travels. Choose another name.`)
    }
    const heads = addresses.map((address) => eventHead(address, event))
    if (to.heads.size >= MAX_CACHED) to.heads.clear()
    to.heads.set(event, heads)
    return heads
  }

  #ask(to: Recipients, task: string, value: unknown, validated: number, options: CallOptions): Promise<unknown> {
    if (options.signal?.aborted) throw aborted(describeCall(to, task), options.signal)
    const call = this.#pending.next()
    this.#writeRequest(call, deadlineOf(options), to, task, value, validated, options)
    return this.#pending.expect(call, to, task, options)
  }

  /** While a schema takes its time, the call's timeout and signal are in force already. */
  #askLater(to: Recipients, task: string, validated: Promise<unknown>, options: CallOptions): Promise<unknown> {
    if (options.signal?.aborted) throw aborted(describeCall(to, task), options.signal)
    const call = this.#pending.next()
    const deadline = deadlineOf(options)
    validated
      .then((value) => {
        if (this.#pending.has(call)) this.#writeRequest(call, deadline, to, task, value, VALIDATED, options)
      })
      .then(undefined, (error) => this.#pending.failed(call, () => error))
    return this.#pending.expect(call, to, task, options)
  }

  #writeRequest(
    call: number,
    deadline: number,
    to: Recipients,
    task: string,
    value: unknown,
    validated: number,
    { retries }: CallOptions,
  ): void {
    const address =
      to.kind === 'everybody'
        ? Address.Anybody
        : (this.#roster.addresses(to, to.kind === 'role' ? 'delegate' : 'request', task)[0] as number)
    const { text, bytes } = checkSize(encodeValue(value, 'the input of task', task, 'input'))
    if (this.#link.queuedBytes > this.#settings.maxQueueBytes) throw this.#overloaded(describeCall(to, task))
    const flags = bytes ? validated | ATTACHED : validated
    this.#link.write(requestHeader(flags, address, call, deadline, retries, task, text.length), text, bytes && [bytes])
  }

  /** It travels behind all that was sent before it: the hub's answer speaks of that, too. */
  #barrier(to: readonly number[]): Promise<void> {
    const n = ++this.#lastBarrier
    this.tell({ t: 'drained', n, to })
    return new Promise((resolve, reject) => this.#barriers.set(n, { resolve, reject }))
  }

  /** @internal */
  tell(message: ToHub): void {
    if (this.#state !== 'closed') this.#link.write(controlFrame(JSON.stringify(message)))
  }

  #assertOpen(attempt: string): void {
    if (this.#state === 'closed') {
      throw new HubError('ERR_HUB_CLOSED', `${attempt}: this member's hub is closed. Send before hub.close().`)
    }
  }

  /** A loop that looks at nothing fills the memory of its own process first. */
  #overloaded(attempt: string): HubError {
    return new HubError(
      'ERR_HUB_OVERLOADED',
      `${attempt}: refused, because ${this.#link.queuedBytes} bytes wait to be sent in this process (maxQueueBytes). ` +
        'Send less at a time: when emit() returns false, await hub.drained().',
    )
  }

  #receiveEvent(name: string, text: string, bytes: Uint8Array | undefined, flags: number, from: Sender): void {
    this.#eventsReceived++
    let args: unknown[]
    try {
      args = flags & SINGLE ? [decodeValue(text, bytes)] : decodeArguments(text, bytes)
      if (!(flags & VALIDATED) && this.#validator.hasEvent(name)) args = this.#validator.eventArguments(name, args)
    } catch (error) {
      this.#refusePayload(name, from, error as Error)
      return
    }
    this.deliver(name, args, from)
  }

  /** Nobody awaits an event, so nobody can be told but whoever runs this process: once for each event. */
  #refusePayload(name: string, from: Sender, error: Error): void {
    this.#refusedPayloads++
    if (this.#warned.has(name)) return
    this.#warned.add(name)
    process.emitWarning(`Hubwire dropped event "${name}" from "${from.id}": ${error.message}`, {
      code: 'ERR_HUB_PAYLOAD',
    })
  }

  #receiveControl(message: ToMember, handle: Handle | undefined, bytes: Uint8Array | undefined): void {
    switch (message.t) {
      case 'welcome':
        this.#id = message.id
        this.#roster.self = message.id
        this.#role = message.role
        this.#address = message.address
        this.#settings = readSettings(message.settings)
        this.#link.highWaterMark = this.#settings.highWaterMark
        this.#scopes.clear()
        this.#scope = this.#makeScope()
        for (const [name, address] of message.roles) this.#roster.setRole(name, address)
        for (const member of message.members) this.#roster.set(member)
        this.#state = 'joined'
        this.#onRefused = undefined
        this.#onWelcome?.()
        break
      case 'refused':
        this.#onRefused?.(new HubError('ERR_HUB_PROTOCOL', message.message))
        this.#onRefused = undefined
        break
      case 'member':
        if (message.role) this.#roster.setRole(...message.role)
        this.#roster.set(message.member)
        break
      case 'removed':
        this.#roster.remove(message.id)
        break
      case 'lifecycle':
        try {
          this.lifecycle.emit(message.event, Object.freeze(message.member), message.info)
        } catch (error) {
          surface(error)
        }
        break
      case 'pressure':
        this.#roster.press(message.address, message.on)
        break
      case 'drained':
        this.#barriers.get(message.n)?.resolve()
        this.#barriers.delete(message.n)
        break
      case 'members':
        this.packets.counted(message)
        break
      case 'asked':
        this.packets.asked(message)
        break
      case 'gone':
        this.packets.gone(message.address)
        break
      case 'ping':
        this.tell({ t: 'pong' })
        break
      case 'stop':
        this.#onStop()
        break
      case 'left':
        this.#onLeft?.()
        break
      case 'connection':
      case 'servers':
        if (this.http) this.http.receive(message, handle, bytes)
        else handle?.close()
        break
    }
  }
}

function deadlineOf({ timeout }: CallOptions): number {
  return timeout === Number.POSITIVE_INFINITY ? timeout : Date.now() + timeout
}

/** What went wrong elsewhere, and is not a handler's error, is a `HubError` here, too. */
function raisedAt(server: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { code, message, stack, cause } = error as HubError
  const raised = new HubError(code, `${message} (in ${server})`, Object.hasOwn(error, 'cause') ? { cause } : undefined)
  if (stack !== undefined) raised.stack = stack.replace(message, () => raised.message)
  return raised
}

function checkSize(body: Body): Body {
  if (body.text.length <= MAX_TEXT_LENGTH) return body
  throw new HubError(
    'ERR_HUB_PAYLOAD',
    `A payload of ${body.text.length} characters is too long: at most ${MAX_TEXT_LENGTH} travel at a time. ` +
      'Send it in parts, or as binary.',
  )
}
