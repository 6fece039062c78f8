import { type Batch, MARKER } from './batch.js'
import { ATTACHED, controlFrame } from './frame.js'
import type { Handle, Transport } from './transport.js'

/** A handle on its way, with what is said about it, and bytes that belong to it. */
export interface Parcel {
  /** The body of a Control frame. */
  readonly body: string
  readonly bytes?: Uint8Array | undefined
  readonly handle: Handle
}

export interface LaneHooks<P extends Parcel> {
  /** The other side has it. */
  taken(parcel: P): void
  /** The channel takes none any more: these are the caller's again, in their order. */
  failed(parcels: P[], error: Error): void
}

/**
 * Handles towards one process. One is in Node's hands at a time: until the other side has taken it, Node queues whatever
 * follows on that channel, where nobody can take it back. All others wait here, and can be.
 */
export class HandleLane<P extends Parcel = Parcel> {
  readonly #transport: Transport
  readonly #hooks: LaneHooks<P>
  #queue: P[] = []
  #current: P | undefined
  #since = 0
  #ended = false
  #idle: (() => void)[] = []

  constructor(transport: Transport, hooks: LaneHooks<P>) {
    this.#transport = transport
    this.#hooks = hooks
  }

  /** How many wait here, not counting the one that is under way. */
  get waiting(): number {
    return this.#queue.length
  }

  /** It takes none any more. */
  get ended(): boolean {
    return this.#ended
  }

  /** None waits, and none is under way. */
  get isIdle(): boolean {
    return !this.#current && this.#queue.length === 0
  }

  /** How long the other side has not taken the one that is under way, in milliseconds; 0 when none is. */
  get stuckFor(): number {
    return this.#current ? performance.now() - this.#since : 0
  }

  add(parcel: P): void {
    this.#queue.push(parcel)
    this.#next()
  }

  /** Resolves when all have been taken. */
  async idle(): Promise<void> {
    while (!this.isIdle) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  /** Takes back what waits and fits, in order. */
  withdraw(fits: (parcel: P) => boolean): P[] {
    const taken: P[] = []
    const kept: P[] = []
    for (const parcel of this.#queue) (fits(parcel) ? taken : kept).push(parcel)
    this.#queue = kept
    return taken
  }

  /**
   * The other process is gone, and all that it sent has been read: takes everything back, the one under way included,
   * which it has not taken. Nothing is sent any more.
   */
  end(): P[] {
    this.#ended = true
    const left = this.#current ? [this.#current, ...this.#queue] : this.#queue
    this.#current = undefined
    this.#queue = []
    this.#settleIdle()
    return left
  }

  #settleIdle(): void {
    if (this.#current) return
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  #next(): void {
    if (this.#current || this.#ended) return
    const parcel = this.#queue.shift()
    if (!parcel) return
    this.#current = parcel
    this.#since = performance.now()
    this.#transport.sendHandle(batchOf(parcel), parcel.handle, (error) => {
      if (this.#current !== parcel) return
      if (error) {
        this.#hooks.failed(this.end(), error)
      } else {
        this.#current = undefined
        this.#hooks.taken(parcel)
        this.#next()
        this.#settleIdle()
      }
    })
  }
}

function batchOf({ body, bytes }: Parcel): Batch {
  return bytes
    ? { text: MARKER + controlFrame(body, ATTACHED), attachments: [bytes] }
    : { text: MARKER + controlFrame(body), attachments: [] }
}
