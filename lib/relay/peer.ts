import { after } from '../timers.js'
import { senderFrame } from '../wire/frame.js'
import { Link } from '../wire/link.js'
import type { Transport } from '../wire/transport.js'
import { Registrations } from './interest.js'
import type { Place } from './place.js'

/** Where frames can be delivered: a seat, whoever sits there, or one incarnation. */
export interface Outlet {
  /** `owned`: the frames are no small part of a large batch, which they would keep alive while they wait. */
  deliver(sender: Peer, frames: string, attachments: readonly Uint8Array[], owned?: boolean): void
}

export const NOWHERE: readonly never[] = []

export interface PeerOptions {
  highWaterMark: number
  /** A link above it is slow at once. */
  maxQueueBytes: number
  /** How long a link may stay over its mark before it is slow, in milliseconds. */
  slowAfter: number
  onSlow(peer: Peer): void
  /** For the first time it sent what it had no right or no sense to send. */
  onOffence(peer: Peer, error: Error): void
}

/** One incarnation of a seat as the hub sees it: its link, and what it has told. */
export class Peer implements Outlet {
  readonly place: Place
  readonly incarnation: number
  readonly address: number
  /** The route that leads to this incarnation alone. One array, so that runs of frames can be told by identity. */
  readonly only: readonly Peer[] = [this]
  readonly registrations = new Registrations()
  /** Routes of this peer's events, by head; valid for one version of the directory. */
  readonly routes = new Map<string, readonly Outlet[]>()
  routesVersion = -1
  joined = false
  /** Has been ready: others have been told that it joined. */
  opened = false
  ready = false
  gone = false
  /** Who takes over what it holds, while it hands that over. */
  successor: Peer | undefined
  /** Has left by itself; its process goes on without the hub. */
  left = false
  slow = false
  droppedEvents = 0
  /** Frames and batches that it had no right or no sense to send. */
  protocolErrors = 0
  #offended = false
  /** For what does not go over the link: handles. */
  readonly transport: Transport
  readonly #link: Link
  readonly #options: PeerOptions
  readonly #senderFrame: string
  #lastSender: Peer | undefined
  #slowTimer: NodeJS.Timeout | undefined

  constructor(place: Place, incarnation: number, address: number, transport: Transport, options: PeerOptions) {
    this.place = place
    this.incarnation = incarnation
    this.address = address
    this.transport = transport
    this.#options = options
    this.#senderFrame = senderFrame(address, incarnation, place.id, place.role)
    this.#link = new Link(transport, {
      highWaterMark: options.highWaterMark,
      onOver: () => this.#watch(options.slowAfter),
      onDrain: () => {
        clearTimeout(this.#slowTimer)
        this.slow = false
        this.place.pressure.relieve()
      },
    })
  }

  get queuedBytes(): number {
    return this.#link.queuedBytes
  }

  /** Whether producers should wait. A slow link holds nobody back. */
  get over(): boolean {
    return this.#link.over && !this.slow
  }

  /** Whether a further task would only add to a queue that is at its bound. */
  get full(): boolean {
    return this.#link.queuedBytes > this.#options.maxQueueBytes
  }

  deliver(sender: Peer, frames: string, attachments: readonly Uint8Array[], owned = false): void {
    if (this.gone) return
    // Every batch names its senders anew: batches can then be dropped or thinned out without regard to each other.
    if (sender !== this.#lastSender || this.#link.atBatchStart) {
      this.#lastSender = sender
      this.#link.write(sender.#senderFrame, frames, attachments, owned)
    } else {
      this.#link.write(frames, '', attachments, owned)
    }
    if (this.#link.over) this.#hold(sender)
  }

  /** Frames of the hub itself: they have no sender. */
  tell(frames: string): void {
    if (this.gone) return
    if (this.#link.atBatchStart) this.#lastSender = undefined
    this.#link.write(frames)
  }

  /** The same past all that waits: a member that has much to read is not to be taken for a dead one. */
  ask(frames: string): void {
    if (!this.gone) this.#link.writeAhead(frames)
  }

  /** It sent what it must not send: that is counted, and told once, because it may go on so for ever. */
  offend(makeError: () => Error): void {
    this.protocolErrors++
    if (this.#offended) return
    this.#offended = true
    this.#options.onOffence(this, makeError())
  }

  /** The process is gone: nothing is delivered any more. */
  leave(): void {
    this.gone = true
    this.ready = false
    clearTimeout(this.#slowTimer)
  }

  #hold(sender: Peer): void {
    if (!this.slow && this.#link.queuedBytes > this.#options.maxQueueBytes) this.#becomeSlow()
    if (this.slow) this.#drop()
    else this.place.pressure.press(sender)
  }

  #watch(delay: number): void {
    this.#slowTimer = after(delay, () => this.#judge())?.unref()
  }

  /**
   * Producers wait until the queue is at half its mark. A member that gets it below the mark, and goes on taking from it,
   * needs its time, but loses nothing by it.
   */
  #judge(): void {
    const { slowAfter, highWaterMark } = this.#options
    const left = this.#link.lastTaken + slowAfter - performance.now()
    if (left > 0 && this.#link.queuedBytes <= highWaterMark) this.#watch(left)
    else this.#becomeSlow()
  }

  #becomeSlow(): void {
    if (this.slow || this.gone) return
    clearTimeout(this.#slowTimer)
    this.slow = true
    this.place.pressure.relieve()
    this.#options.onSlow(this)
    this.#drop()
  }

  #drop(): void {
    const { highWaterMark } = this.#options
    if (this.#link.queuedBytes > highWaterMark) this.droppedEvents += this.#link.dropEvents(highWaterMark)
  }
}
