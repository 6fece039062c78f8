import { Alarm } from './alarm.js'
import { HubError } from './errors.js'
import type { PacketLink } from './packets.js'
import { PROTOCOL, readSettings, type Settings, type ToHub, type ToMember } from './relay/control.js'
import { Roster } from './roster.js'
import { VERSION } from './version.js'
import { Address, controlFrame } from './wire/frame.js'
import { Link } from './wire/link.js'
import type { Transport } from './wire/transport.js'

/** Until the hub's welcome tells. */
const DEFAULT_SETTINGS: Settings = {
  timeout: 30_000,
  highWaterMark: 1 << 20,
  maxQueueBytes: 64 << 20,
  maxMessageBytes: 64 << 20,
  maxPendingCalls: 100_000,
  gracePeriod: 10_000,
}

/** The control messages that tell a member of its own place on the hub, and of the others'. */
type Message = Extract<
  ToMember,
  { t: 'welcome' | 'refused' | 'member' | 'removed' | 'pressure' | 'drained' | 'ping' | 'left' }
>

/** Who waits until all that was sent so far has passed somewhere. */
interface Barrier {
  /** What was tried, as it reads in an error. */
  attempt: string
  resolve(): void
  reject(error: Error): void
}

/** A member's place on the hub: how it joins and leaves, what the hub told it, and the link that leads there. */
export class Membership implements PacketLink {
  readonly link: Link
  readonly roster = new Roster()
  settings = DEFAULT_SETTINGS
  id = ''
  role: string | undefined
  /** The address of this incarnation. */
  address = 0
  /** What the hub calls the private sockets of its members. */
  sockets = ''
  /** Messages that were not sent, because too much waits already. */
  refused = 0
  readonly #alarm: Alarm
  readonly #barriers = new Map<number, Barrier>()
  #lastBarrier = 0
  #state: 'joining' | 'joined' | 'ready' | 'closed' = 'joining'
  #onWelcome: (() => void) | undefined
  #onRefused: ((error: HubError) => void) | undefined
  #onLeft: (() => void) | undefined

  /** `onFull`: messages are refused from now on. */
  constructor(transport: Transport, onBroken: (error: Error) => void, onFull: () => void) {
    this.#alarm = new Alarm(onFull)
    const onDrain = () => this.#alarm.settle(0, 1)
    this.link = new Link(transport, { highWaterMark: DEFAULT_SETTINGS.highWaterMark, onBroken, onDrain })
  }

  get maxMessageBytes(): number {
    return this.settings.maxMessageBytes
  }

  get closed(): boolean {
    return this.#state === 'closed'
  }

  /** Whether nothing more should be added to what waits here: the hub does not read, or not fast enough. */
  get full(): boolean {
    return this.link.queuedBytes > this.settings.maxQueueBytes
  }

  /** A message was not sent because of that. */
  refuse(): void {
    this.refused++
    this.#alarm.raise()
  }

  /** The error for it. A loop that looks at nothing fills the memory of its own process first. */
  overloaded(attempt: string): HubError {
    this.refuse()
    return new HubError(
      'ERR_HUB_OVERLOADED',
      `${attempt}: refused, because ${this.link.queuedBytes} bytes wait to be sent in this process (maxQueueBytes). ` +
        'Send less at a time: when emit() returns false, await hub.drained().',
    )
  }

  /** The same for a call that would wait for its answer, or for the hub, with too many others. */
  tooMany(attempt: string, waiting: number): HubError {
    this.refused++
    return new HubError(
      'ERR_HUB_OVERLOADED',
      `${attempt}: refused, because ${waiting} others of this process wait for the hub (maxPendingCalls). ` +
        'Await some of them first.',
    )
  }

  /** @throws {HubError} `ERR_HUB_CLOSED` */
  assertOpen(attempt: string): void {
    if (this.#state === 'closed') {
      throw new HubError('ERR_HUB_CLOSED', `${attempt}: this member's hub is closed. Send before hub.close().`)
    }
  }

  write(start: string, rest: string, attachments?: readonly Uint8Array[]): void {
    this.link.write(start, rest, attachments)
  }

  hurry(): void {
    this.link.hurry()
  }

  tell(message: ToHub): void {
    if (this.#state !== 'closed') this.link.write(controlFrame(JSON.stringify(message)))
  }

  /** Resolves when the hub has welcomed this member. */
  join(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onWelcome = resolve
      this.#onRefused = reject
      this.tell({ t: 'hello', protocol: PROTOCOL, version: VERSION })
    })
  }

  ready(): void {
    this.assertOpen('hub.ready()')
    if (this.#state !== 'joined') return
    this.#state = 'ready'
    this.tell({ t: 'ready' })
  }

  /** It travels behind all that was sent before it: the hub's answer speaks of that, too. */
  barrier(to: readonly number[], attempt: string): Promise<void> {
    const { size } = this.#barriers
    if (size >= this.settings.maxPendingCalls && !to.includes(Address.Hub))
      return Promise.reject(this.tooMany(attempt, size))
    const n = ++this.#lastBarrier
    this.tell({ t: 'drained', n, to })
    return new Promise((resolve, reject) => this.#barriers.set(n, { attempt, resolve, reject }))
  }

  /** `attempt`: on whose account, for the error when the hub is closed meanwhile. */
  async sync(attempt = 'Waiting for the hub'): Promise<void> {
    if (this.#state !== 'closed') await this.barrier([Address.Hub], attempt)
  }

  leave(): Promise<void> {
    if (this.#state === 'closed') return Promise.resolve()
    return new Promise((resolve) => {
      this.#onLeft = resolve
      this.tell({ t: 'leave' })
    })
  }

  /** From now on nothing is told to the hub, and a join that waits for it fails. */
  close(cause: Error | undefined): void {
    this.#state = 'closed'
    this.#onRefused?.(
      new HubError(
        'ERR_HUB_CLOSED',
        'Joining the hub: the channel to it closed before it answered. Look whether the primary has ended, or closed its hub.',
        cause && { cause },
      ),
    )
  }

  /** After `close`: whoever waits for the hub waits no longer. */
  release(cause: Error | undefined): void {
    for (const { attempt, reject } of this.#barriers.values()) {
      const message = `${attempt}: the hub was closed before it was done. Await it before hub.close().`
      reject(new HubError('ERR_HUB_CLOSED', message, cause && { cause }))
    }
    this.#barriers.clear()
    this.#onLeft?.()
  }

  control(message: Message): void {
    switch (message.t) {
      case 'welcome':
        this.id = message.id
        this.roster.self = message.id
        this.role = message.role
        this.address = message.address
        this.sockets = message.sockets
        this.settings = readSettings(message.settings)
        this.link.highWaterMark = this.settings.highWaterMark
        for (const [name, address] of message.roles) this.roster.setRole(name, address)
        for (const member of message.members) this.roster.set(member)
        this.#state = 'joined'
        this.#onRefused = undefined
        this.#onWelcome?.()
        break
      case 'refused':
        this.#onRefused?.(new HubError('ERR_HUB_PROTOCOL', message.message))
        this.#onRefused = undefined
        break
      case 'member':
        if (message.role) this.roster.setRole(...message.role)
        this.roster.set(message.member)
        break
      case 'removed':
        this.roster.remove(message.id)
        break
      case 'pressure':
        this.roster.press(message.address, message.on)
        break
      case 'drained':
        this.#barriers.get(message.n)?.resolve()
        this.#barriers.delete(message.n)
        break
      case 'ping':
        this.tell({ ...message, t: 'pong' })
        break
      case 'left':
        this.#onLeft?.()
        break
    }
  }
}
