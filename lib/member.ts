import { EventEmitter } from 'node:events'
import { HubError, invalid } from './errors.js'
import { PROTOCOL, type Settings, type ToHub, type ToMember } from './relay/control.js'
import { describe, EVERYBODY, OTHERS, parseTarget, type Recipients, Roster } from './roster.js'
import type { Validator } from './schema.js'
import { type Messenger, Scope } from './scope.js'
import { Handlers, isThenable } from './tasks/handlers.js'
import { type CallOptions, PendingCalls } from './tasks/pending.js'
import type { HandleOptions, HubStats, Member as MemberInfo, Sender, Target } from './types.js'
import { VERSION } from './version.js'
import { type Batch, readBatch } from './wire/batch.js'
import { type Body, decodeArguments, decodeError, decodeValue, encodeArguments, encodeValue } from './wire/codec.js'
import {
  Address,
  ATTACHED,
  callBody,
  callFrame,
  controlFrame,
  eventBody,
  eventFrame,
  eventHead,
  eventName,
  Kind,
  MAX_NAME_LENGTH,
  MAX_TEXT_LENGTH,
  readAddress,
  readCall,
  readKind,
  readSender,
  requestFrame,
  sameEventHead,
  VALIDATED,
} from './wire/frame.js'
import { Link } from './wire/link.js'
import type { Transport } from './wire/transport.js'

/** Raised in this process alone, as any `EventEmitter` raises them. */
const LOCAL_EVENTS: ReadonlySet<string | symbol> = new Set(['error', 'newListener', 'removeListener'])

/** Until the hub's welcome tells. */
const DEFAULT_SETTINGS: Settings = {
  timeout: 30_000,
  highWaterMark: 1 << 20,
  maxQueueBytes: 64 << 20,
  gracePeriod: 10_000,
}

// biome-ignore lint/suspicious/noExplicitAny: EventEmitter's own signature for listeners
type Listener = (...args: any[]) => void
type AnyListener = (event: string, args: unknown[], context: { from: Sender }) => void

export interface MemberOptions {
  transport: Transport
  validator: Validator
  /** The hub asks this member to finish its work and to end. */
  onStop(): void
}

/**
 * The messaging API that primary and workers share. Everything that it sends goes to the hub, and everything comes from
 * there, what it sends to itself included: so the order between two members is the order of one channel.
 */
export class Member extends EventEmitter implements Messenger {
  readonly lifecycle = new EventEmitter()
  readonly #link: Link
  readonly #validator: Validator
  readonly #roster = new Roster()
  readonly #pending: PendingCalls
  readonly #handlers: Handlers
  readonly #onStop: () => void
  readonly #anyListeners: AnyListener[] = []
  /** The events that the hub knows this member to listen to. */
  readonly #listening = new Set<string>()
  readonly #warned = new Set<string>()
  readonly #barriers = new Map<number, { resolve: () => void; reject: (error: Error) => void }>()
  #lastBarrier = 0
  #settings = DEFAULT_SETTINGS
  #id = ''
  #role: string | undefined
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
    this.#pending = new PendingCalls((call) => this.#link.write(callFrame(Kind.Cancel, Address.Hub, call, '')))
    this.#handlers = new Handlers({
      validator,
      send: (frame, attachment) => this.#link.write(frame, attachment && [attachment]),
      onRefusedPayload: () => {
        this.#refusedPayloads++
      },
    })
    this.#scope = this.#makeScope()
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

  // Events. The emitter's own methods act locally; what they change is told to the hub.

  override on(event: string | symbol, listener: Listener): this {
    super.on(event, listener)
    return this.#track(event)
  }

  override addListener(event: string | symbol, listener: Listener): this {
    return this.on(event, listener)
  }

  override prependListener(event: string | symbol, listener: Listener): this {
    super.prependListener(event, listener)
    return this.#track(event)
  }

  override removeListener(event: string | symbol, listener: Listener): this {
    super.removeListener(event, listener)
    return this.#track(event)
  }

  override off(event: string | symbol, listener: Listener): this {
    return this.removeListener(event, listener)
  }

  override removeAllListeners(event?: string | symbol): this {
    const names = event === undefined ? this.eventNames() : [event]
    if (event === undefined) super.removeAllListeners()
    else super.removeAllListeners(event)
    for (const name of names) this.#track(name)
    return this
  }

  onAny(listener: AnyListener): this {
    if (typeof listener !== 'function') throw invalid('hub.onAny(…): the listener is no function.')
    if (this.#anyListeners.push(listener) === 1) this.#tell({ t: 'any', on: true })
    return this
  }

  offAny(listener: AnyListener): this {
    const index = this.#anyListeners.lastIndexOf(listener)
    if (index >= 0) {
      this.#anyListeners.splice(index, 1)
      if (this.#anyListeners.length === 0) this.#tell({ t: 'any', on: false })
    }
    return this
  }

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    // A symbol is another one in every process: such an event can only be local.
    if (typeof event === 'symbol' || LOCAL_EVENTS.has(event)) return super.emit(event, ...args)
    return this.send(EVERYBODY, event, args)
  }

  broadcast(event: string, ...args: unknown[]): boolean {
    return this.send(OTHERS, event, args)
  }

  // Tasks

  handle(task: string, handler: unknown, options: HandleOptions = {}): () => void {
    checkName(task, 'task')
    const { concurrency = Number.POSITIVE_INFINITY, ...unknown } = options
    for (const key of Object.keys(unknown))
      throw invalid(`hub.handle(…): unknown option "${key}". There is: concurrency.`)
    if (concurrency !== Number.POSITIVE_INFINITY && !(Number.isInteger(concurrency) && concurrency > 0)) {
      throw invalid(
        `hub.handle(…): concurrency must be a whole number from 1 on, or Infinity, not ${String(concurrency)}.`,
      )
    }
    this.#assertOpen(`hub.handle(${JSON.stringify(task)})`)
    this.#handlers.add(task, handler)
    this.#tell({ t: 'handle', name: task, concurrency: concurrency === Number.POSITIVE_INFINITY ? null : concurrency })
    let served = true
    return () => {
      if (!served) return
      served = false
      this.#handlers.remove(task)
      this.#tell({ t: 'unhandle', name: task })
    }
  }

  to(target: Target): Scope {
    return this.#scope.to(target)
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

  // Flow and life

  async drained(target?: Target): Promise<void> {
    this.#assertOpen('hub.drained()')
    const to = target === undefined ? EVERYBODY : parseTarget(target)
    return this.#barrier(to === EVERYBODY ? [] : this.#roster.addresses(to, 'hub.drained()'))
  }

  ready(): void {
    this.#assertOpen('hub.ready()')
    if (this.#state !== 'joined') return
    this.#state = 'ready'
    this.#tell({ t: 'ready' })
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

  get closed(): boolean {
    return this.#state === 'closed'
  }

  /** Resolves when the hub has welcomed this member. */
  join(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onWelcome = resolve
      this.#onRefused = reject
      this.#tell({ t: 'hello', protocol: PROTOCOL, version: VERSION })
    })
  }

  /** Resolves when all that the hub has told so far has arrived here. */
  async sync(): Promise<void> {
    if (this.#state !== 'closed') await this.#barrier([Address.Hub])
  }

  /** Asks the hub to send nothing new. What it sent before arrives before this resolves. */
  leave(): Promise<void> {
    return new Promise((resolve) => {
      this.#onLeft = resolve
      this.#tell({ t: 'leave' })
    })
  }

  /** Resolves when the running tasks are answered and all is sent; after `gracePeriod` it no longer waits for tasks. */
  async drain(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.#handlers.abortAll(new HubError('ERR_HUB_CLOSED', 'The hub closes, and its grace period is over.'))
        resolve()
      }, this.#settings.gracePeriod)
    })
    await Promise.race([this.#handlers.idle(), patience])
    clearTimeout(timer)
    await this.#link.idle()
  }

  /** Takes no more part. What still waits is told. */
  finish(cause?: Error): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    const options = cause && { cause }
    this.#onRefused?.(new HubError('ERR_HUB_CLOSED', 'The channel to the hub closed before the hub answered.', options))
    this.#pending.close(
      (attempt) => new HubError('ERR_HUB_CLOSED', `${attempt}: the hub was closed before an answer came.`, options),
    )
    const error = new HubError('ERR_HUB_CLOSED', 'hub.drained(): the hub was closed.', options)
    for (const { reject } of this.#barriers.values()) reject(error)
    this.#barriers.clear()
    this.#handlers.abortAll(new HubError('ERR_HUB_CLOSED', 'The hub was closed.', options))
    this.#onLeft?.()
  }

  /** @throws {HubError} `ERR_HUB_PROTOCOL` when the batch is malformed */
  receive(batch: Batch): void {
    let sender: Sender | undefined
    let senderAddress = 0
    let lastEvent = -1
    let name = ''
    readBatch(batch, (text, at, length, bytes) => {
      const flags = text.charCodeAt(at + 4)
      switch (readKind(text, at)) {
        case Kind.Event:
          if (!sender) throw new HubError('ERR_HUB_PROTOCOL', 'An event came without its sender.')
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
          this.#pending.failed(readCall(text, at), () => decodeError(body, bytes, server))
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
        default:
          this.#receiveControl(JSON.parse(text.substring(at + 8, at + length)) as ToMember)
      }
    })
  }

  // Messenger

  send(to: Recipients, event: string, args: unknown[]): boolean {
    checkName(event, 'event')
    if (LOCAL_EVENTS.has(event))
      throw invalid(`"${event}" is a local event of every emitter: it never travels. Choose another name.`)
    this.#assertOpen(`emit(${JSON.stringify(event)})`)
    const attempt = `emit(${JSON.stringify(event)}) to ${describe(to)}`
    let flags = 0
    let values = args
    if (this.#validator.hasEvent(event)) {
      values = this.#validator.eventArguments(event, args)
      flags = VALIDATED
    }
    const { text, bytes } = checkSize(encodeArguments(values, `event ${JSON.stringify(event)}`), attempt)
    if (bytes) flags |= ATTACHED
    const attachments = bytes && [bytes]
    for (const address of this.#roster.addresses(to, attempt)) {
      this.#link.write(eventFrame(flags, eventHead(address, event), text), attachments)
    }
    this.#eventsSent++
    return !this.#link.over && !this.#roster.isPressed(to)
  }

  async call(to: Recipients, task: string, input: unknown, options: CallOptions): Promise<unknown> {
    checkName(task, 'task')
    const attempt = to === EVERYBODY ? `Delegation of "${task}"` : `Request "${task}" to ${describe(to)}`
    this.#assertOpen(attempt)
    let value = input
    let flags = 0
    if (this.#validator.hasInput(task)) {
      const validated = this.#validator.taskInput(task, input)
      value = isThenable(validated) ? await validated : validated
      flags = VALIDATED
      this.#assertOpen(attempt)
    }
    const address = to === EVERYBODY ? Address.Anybody : (this.#roster.addresses(to, attempt)[0] as number)
    const { text, bytes } = checkSize(encodeValue(value, `the input of task ${JSON.stringify(task)}`), attempt)
    if (this.#link.queuedBytes > this.#settings.maxQueueBytes) {
      throw new HubError(
        'ERR_HUB_OVERLOADED',
        `${attempt}: refused, because ${this.#link.queuedBytes} bytes wait to be sent.`,
      )
    }
    if (bytes) flags |= ATTACHED
    return this.#pending.start(attempt, options, this.#decoder(task), (call, deadline) => {
      this.#link.write(requestFrame(flags, address, call, deadline, options.retries, task, text), bytes && [bytes])
    })
  }

  idsOf(to: Recipients): string[] {
    if (to.kind !== 'role') return [...to.ids]
    this.#roster.role(to.role as string, 'gather()')
    return this.#roster.inRole(to.role as string).map((member) => member.id)
  }

  // Within

  #makeScope(): Scope {
    return new Scope(this, EVERYBODY, { timeout: this.#settings.timeout, signal: undefined, retries: 0 })
  }

  #decoder(task: string): (text: string, bytes: Uint8Array | undefined, flags: number) => unknown {
    if (!this.#validator.hasOutput(task)) return decodeValue
    return (text, bytes, flags) => {
      const value = decodeValue(text, bytes)
      return flags & VALIDATED ? value : this.#validator.taskOutput(task, value)
    }
  }

  /** It travels behind all that was sent before it: the hub's answer speaks of that, too. */
  #barrier(to: number[]): Promise<void> {
    const n = ++this.#lastBarrier
    this.#tell({ t: 'drained', n, to })
    return new Promise((resolve, reject) => this.#barriers.set(n, { resolve, reject }))
  }

  #tell(message: ToHub): void {
    if (this.#state !== 'closed') this.#link.write(controlFrame(JSON.stringify(message)))
  }

  #assertOpen(attempt: string): void {
    if (this.#state === 'closed') {
      throw new HubError('ERR_HUB_CLOSED', `${attempt}: this member's hub is closed. Send before hub.close().`)
    }
  }

  #track(event: string | symbol): this {
    if (typeof event === 'symbol' || LOCAL_EVENTS.has(event)) return this
    const listens = this.listenerCount(event) > 0
    if (listens === this.#listening.has(event)) return this
    checkName(event, 'event')
    if (listens) this.#listening.add(event)
    else this.#listening.delete(event)
    this.#tell({ t: 'listen', name: event, on: listens })
    return this
  }

  #receiveEvent(name: string, text: string, bytes: Uint8Array | undefined, flags: number, from: Sender): void {
    this.#eventsReceived++
    let args = decodeArguments(text, bytes)
    if (!(flags & VALIDATED) && this.#validator.hasEvent(name)) {
      try {
        args = this.#validator.eventArguments(name, args)
      } catch (error) {
        this.#refusePayload(name, from, error as Error)
        return
      }
    }
    for (const listener of [...this.#anyListeners]) attemptListener(() => listener(name, args, { from }))
    const count = this.listenerCount(name)
    if (count === 1) attemptListener(() => super.emit(name, ...args))
    else if (count > 1) {
      for (const listener of this.rawListeners(name)) attemptListener(() => Reflect.apply(listener, this, args))
    }
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

  #receiveControl(message: ToMember): void {
    switch (message.t) {
      case 'welcome':
        this.#id = message.id
        this.#role = message.role
        this.#settings = message.settings
        this.#link.highWaterMark = message.settings.highWaterMark
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
        attemptListener(() => this.lifecycle.emit(message.event, Object.freeze(message.member), message.info))
        break
      case 'pressure':
        this.#roster.press(message.address, message.on)
        break
      case 'drained':
        this.#barriers.get(message.n)?.resolve()
        this.#barriers.delete(message.n)
        break
      case 'ping':
        this.#tell({ t: 'pong' })
        break
      case 'stop':
        this.#onStop()
        break
      case 'left':
        this.#onLeft?.()
        break
    }
  }
}

/** The others still run; the error surfaces as Node surfaces what nobody caught. */
function attemptListener(call: () => void): void {
  try {
    call()
  } catch (error) {
    process.nextTick(() => {
      throw error
    })
  }
}

function checkName(name: unknown, what: string): asserts name is string {
  if (typeof name !== 'string')
    throw invalid(`The name of ${what === 'event' ? 'an event' : 'a task'} must be a string.`)
  if (name.length > MAX_NAME_LENGTH) {
    throw invalid(
      `The ${what} name ${JSON.stringify(`${name.slice(0, 40)}…`)} is longer than ${MAX_NAME_LENGTH} characters.`,
    )
  }
}

function checkSize(body: Body, attempt: string): Body {
  if (body.text.length <= MAX_TEXT_LENGTH) return body
  throw new HubError(
    'ERR_HUB_PAYLOAD',
    `${attempt}: the payload is ${body.text.length} characters long, and at most ${MAX_TEXT_LENGTH} travel at a time. ` +
      'Send it in parts, or as binary.',
  )
}
