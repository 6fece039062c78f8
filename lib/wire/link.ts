import { attachmentSize, type Batch, flatten, MARKER, NO_ATTACHMENTS, owned, withoutEvents } from './batch.js'
import type { Transport } from './transport.js'

/**
 * A batch of this many units goes at once. Node.js reads a channel in pieces of 65,536 bytes: a batch of small Latin
 * messages fits into one, with what the channel adds, and need not be copied together from two.
 */
const FULL_BATCH = 61_440
/** With attachments a batch that waits grows to so many bytes: two small ones on their way would leave the channel idle. */
const FULL_BINARY_BATCH = 524_288
/** One being written and one behind it keep the channel busy. All else waits here, where it can be counted and dropped. */
const MAX_IN_FLIGHT = 2

export interface LinkOptions {
  highWaterMark: number
  /** Called when the queue has gone above the mark, and when it has fallen to half of it. */
  onOver?: () => void
  onDrain?: () => void
  /** Called once, when the channel no longer takes anything. */
  onBroken?: (error: Error) => void
}

/** Whoever has something to write that may wait until the turn ends, or until somebody else writes. */
export interface Deferred {
  /** Writes it. May be called again meanwhile, and then has nothing to write. */
  write(): void
}

/**
 * The sending half of a channel: ordered, batching, bounded. Frames of one turn leave together; while two batches are on
 * their way, the rest waits here, flattened, so that its size is what it says.
 */
export class Link {
  /** Queued bytes above which the link is `over`. */
  highWaterMark: number
  readonly #transport: Transport
  readonly #options: LinkOptions
  /** What this turn wrote. Its pieces may be slices of large batches that came in. */
  #fresh = ''
  #freshAttachments: Uint8Array[] = []
  /** What waits for its batch to fill up or for the channel, in memory of its own. */
  #settled = ''
  #settledAttachments: Uint8Array[] = []
  #openBytes = 0
  /** It has said something in this turn that is to be written before anything else. */
  #deferred: Deferred | undefined
  #deferredBytes = 0
  readonly #closed: Batch[] = []
  /** How many of these, from the first on, have been relieved of their events. */
  #thinned = 0
  #closedBytes = 0
  #inFlight = 0
  #scheduled = false
  #over = false
  #broken = false
  /** When something was last taken while it was over, by `performance.now()`. */
  lastTaken = 0
  #idle: (() => void)[] = []

  constructor(transport: Transport, options: LinkOptions) {
    this.#transport = transport
    this.#options = options
    this.highWaterMark = options.highWaterMark
  }

  /**
   * Bytes that wait here, one for each UTF-16 unit of text, some more for each attachment. Of what is deferred until the
   * turn ends it is what was said of it. Not what Node holds.
   */
  get queuedBytes(): number {
    return this.#openBytes + this.#deferredBytes + this.#closedBytes
  }

  /** Above the mark, and not yet back at half of it. */
  get over(): boolean {
    return this.#over
  }

  /** Whether the next frame written will be the first of its batch. */
  get atBatchStart(): boolean {
    return this.#openBytes === 0
  }

  /**
   * Appends whole frames, and the attachments that they name. The text may come in two parts: V8 flattens a rope that
   * grows at its end alone much faster than one with branches. `keep`: all of it may wait as it is, because it is no
   * small part of a large batch that it would keep alive.
   */
  write(start: string, rest = '', attachments?: readonly Uint8Array[], keep = false): void {
    if (this.#deferred !== undefined) this.#writeDeferred()
    if (this.#broken) return
    if (keep) {
      this.#settle()
      this.#settled += start
      this.#settled += rest
    } else {
      this.#fresh += start
      this.#fresh += rest
    }
    this.#openBytes += start.length + rest.length
    if (attachments !== undefined) {
      const open = keep ? this.#settledAttachments : this.#freshAttachments
      for (const attachment of attachments) {
        open.push(attachment)
        this.#openBytes += attachmentSize(attachment)
      }
    }
    if (this.#openBytes >= FULL_BATCH) {
      if (this.#inFlight < MAX_IN_FLIGHT) this.#flush()
      else if (this.#isFull()) this.#close()
      else this.#settle()
      if (!this.#over) this.#check()
    } else {
      this.#schedule()
    }
  }

  /** Has it write `bytes`, more or less, later in this turn: where more of a kind comes, it writes all of it together. */
  defer(deferred: Deferred, bytes: number): void {
    if (this.#deferred !== deferred) {
      if (this.#deferred !== undefined) this.#writeDeferred()
      this.#deferred = deferred
    }
    this.#deferredBytes += bytes
    if (this.#textLength + this.#deferredBytes >= FULL_BATCH) {
      this.#writeDeferred()
    } else {
      this.#schedule()
    }
  }

  /** Sends at once what was written, if the channel takes it: for who is about to keep this process busy. */
  hurry(): void {
    this.#writeDeferred()
    if (!this.#broken) this.#flush()
  }

  /** Sends whole frames past all that waits: for what asks whether anybody is there at all. */
  writeAhead(frames: string): void {
    if (!this.#broken) this.#send({ text: MARKER + frames, attachments: NO_ATTACHMENTS })
  }

  /** Resolves when nothing waits and nothing is on its way, or when the channel is broken. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve)
      this.#settleIdle()
    })
  }

  /**
   * Drops waiting events, oldest first, until no more than `bytes` wait; returns how many. It is not progress: the link
   * stays `over` until what waits has really left.
   */
  dropEvents(bytes: number): number {
    let dropped = 0
    for (const last of [false, true]) {
      if (last && this.queuedBytes > bytes) this.#close()
      // What has been gone over holds no events: doing it again for each new one would cost more with every request.
      for (const batch of this.#closed.splice(this.#thinned)) {
        if (this.queuedBytes <= bytes) {
          this.#closed.push(batch)
          continue
        }
        const thinned = withoutEvents(batch)
        dropped += thinned.dropped
        this.#closedBytes -= sizeOf(batch) - sizeOf(thinned.batch)
        if (sizeOf(thinned.batch) === 0) continue
        this.#closed.push(thinned.batch)
        this.#thinned = this.#closed.length
      }
    }
    return dropped
  }

  #schedule(): void {
    if (this.#scheduled) return
    // In this order: where the stack is full, it throws.
    queueMicrotask(this.#onTurnEnd)
    this.#scheduled = true
  }

  #writeDeferred(): void {
    this.#deferred?.write()
    this.#deferred = undefined
    this.#deferredBytes = 0
  }

  readonly #onTurnEnd = () => {
    // What is written now is for this flush: it schedules none.
    try {
      this.#writeDeferred()
    } finally {
      this.#scheduled = false
    }
    if (this.#inFlight < MAX_IN_FLIGHT) this.#flush()
    else this.#settle()
    // What is over its mark is back only when something has left, which is not the case where events were dropped.
    if (!this.#over) this.#check()
  }

  readonly #onGone = (error: Error | null) => {
    this.#inFlight--
    if (error) this.#break(error)
    else {
      if (this.#over) this.lastTaken = performance.now()
      if (this.queuedBytes > 0) this.#flush()
      // Also where nothing is left to send: what waited may have been dropped.
      this.#check()
    }
    this.#settleIdle()
  }

  #flush(): void {
    while (this.#inFlight < MAX_IN_FLIGHT) {
      const closed = this.#closed.shift()
      if (closed) {
        this.#closedBytes -= sizeOf(closed)
        if (this.#thinned > 0) this.#thinned--
        this.#send(closed)
        continue
      }
      if (this.#openBytes === 0) return
      this.#send(this.#takeOpen())
    }
    if (this.#openBytes > 0) this.#settle()
  }

  get #textLength(): number {
    return this.#settled.length + this.#fresh.length
  }

  #isFull(): boolean {
    return this.#openBytes >= FULL_BINARY_BATCH || this.#textLength >= FULL_BATCH
  }

  #send(batch: Batch): void {
    this.#inFlight++
    this.#transport.send(batch, this.#onGone)
  }

  #takeOpen(): Batch {
    const attachments =
      this.#settledAttachments.length + this.#freshAttachments.length === 0
        ? NO_ATTACHMENTS
        : [...this.#settledAttachments, ...this.#freshAttachments]
    const batch = { text: MARKER + this.#settled + this.#fresh, attachments }
    this.#settled = ''
    this.#fresh = ''
    if (attachments.length > 0) {
      this.#settledAttachments = []
      this.#freshAttachments = []
    }
    this.#openBytes = 0
    return batch
  }

  /** Moves what this turn wrote into memory of its own, because it will have to wait. */
  #settle(): void {
    if (this.#fresh !== '') {
      this.#settled += flatten(this.#fresh)
      this.#fresh = ''
    }
    for (const attachment of this.#freshAttachments) this.#settledAttachments.push(owned(attachment))
    if (this.#freshAttachments.length > 0) this.#freshAttachments = []
  }

  /** Ends the open batch; it waits for its turn. */
  #close(): void {
    if (this.#openBytes === 0) return
    this.#settle()
    this.#closedBytes += this.#openBytes
    this.#closed.push(this.#takeOpen())
  }

  #check(): void {
    const { highWaterMark } = this
    const { onOver, onDrain } = this.#options
    if (!this.#over && this.queuedBytes > highWaterMark) {
      this.#over = true
      onOver?.()
    } else if (this.#over && this.queuedBytes <= highWaterMark / 2) {
      this.#over = false
      onDrain?.()
    }
  }

  #break(error: Error): void {
    if (this.#broken) return
    this.#broken = true
    this.#writeDeferred()
    this.#takeOpen()
    this.#closed.length = 0
    this.#thinned = 0
    this.#closedBytes = 0
    this.#check()
    this.#options.onBroken?.(error)
  }

  #settleIdle(): void {
    if (this.#idle.length === 0 || (!this.#broken && (this.#inFlight > 0 || this.queuedBytes > 0))) return
    const waiting = this.#idle
    this.#idle = []
    for (const resolve of waiting) resolve()
  }
}

/** The bytes of a closed batch that count: its marker was never queued by anybody. */
function sizeOf(batch: Batch): number {
  let bytes = batch.text.length - MARKER.length
  for (const attachment of batch.attachments) bytes += attachmentSize(attachment)
  return bytes
}
