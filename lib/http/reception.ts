import { after } from '../timers.js'
import { type RawHandle, readFrom, remoteAddress } from './raw-handle.js'
import { type HeadPart, isComplete, isTls } from './request-head.js'

const NOTHING = Buffer.alloc(0)

export interface ReceptionOptions {
  /** Which part of the first request to wait for. */
  part: HeadPart
  /** So many bytes without it, and the client is told 431. */
  maxRequestLine: number
  /** How long it may take, in milliseconds. */
  headTimeout: number
  /** So many may be read at a time; then the oldest, which took longest without saying enough, are closed. */
  maxReading: number
  /** The connection, which nobody reads any more, and all that has been read of it. */
  onRead(handle: RawHandle, bytes: Buffer): void
  onRefuse(handle: RawHandle, status: 408 | 431): void
  /** One was closed to make room for another. */
  onCrowded(): void
}

/** Reads as much of new connections as it takes to know where they belong. */
export class Reception {
  readonly #options: ReceptionOptions
  /** In the order in which they came, which is the one in which their time is over. */
  readonly #guests = new Set<Guest>()
  /** For the first of them: its time is over first. */
  #timer: NodeJS.Timeout | undefined

  constructor(options: ReceptionOptions) {
    this.#options = options
  }

  /** Connections that have not said enough yet. */
  get size(): number {
    return this.#guests.size
  }

  receive(handle: RawHandle): void {
    const { maxReading, headTimeout, onCrowded } = this.#options
    if (this.#guests.size >= maxReading) {
      for (const oldest of this.#guests) {
        oldest.leave()
        break
      }
      onCrowded()
    }
    this.#guests.add(new Guest(handle, this.#options, this.#guests))
    if (!this.#timer) this.#watch(headTimeout)
  }

  close(): void {
    for (const guest of this.#guests) guest.leave()
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #watch(delay: number): void {
    this.#timer = after(delay, () => {
      this.#timer = undefined
      const latest = performance.now() - this.#options.headTimeout
      for (const guest of this.#guests) {
        if (guest.since > latest) {
          this.#watch(guest.since - latest)
          return
        }
        guest.late()
      }
    })
  }
}

class Guest {
  /** When it came. */
  readonly since = performance.now()
  readonly #options: ReceptionOptions
  readonly #handle: RawHandle
  readonly #all: Set<Guest>
  readonly #stop: () => void
  #bytes: Buffer | undefined
  #left = false

  /** It takes itself from `all` when it leaves. */
  constructor(handle: RawHandle, options: ReceptionOptions, all: Set<Guest>) {
    this.#options = options
    this.#handle = handle
    this.#all = all
    this.#stop = readFrom(handle, (bytes) => this.#read(bytes))
  }

  /** Its time is over. */
  late(): void {
    // Browsers open connections that they may never use; to them a 408 would be the answer to their next request.
    if (!this.#bytes) this.leave()
    else this.#release((handle) => this.#options.onRefuse(handle, 408), this.#bytes)
  }

  leave(): void {
    this.#release((handle) => handle.close(), NOTHING)
  }

  #read(chunk: Buffer | undefined): void {
    if (this.#left) return
    if (!chunk) {
      // The client says no more. What it said is for a worker to judge, which will find the same end; but where the
      // connection broke there is nobody left to answer, and nothing to hand on.
      if (this.#bytes && remoteAddress(this.#handle) !== undefined) this.#release(this.#options.onRead, this.#bytes)
      else this.leave()
      return
    }
    const { part, maxRequestLine, onRead, onRefuse } = this.#options
    const bytes = this.#bytes ? Buffer.concat([this.#bytes, chunk]) : chunk
    this.#bytes = bytes
    if (isTls(bytes) || isComplete(bytes, part)) this.#release(onRead, bytes)
    else if (bytes.length > maxRequestLine) this.#release((handle) => onRefuse(handle, 431), bytes)
  }

  #release(to: (handle: RawHandle, bytes: Buffer) => void, bytes: Buffer): void {
    this.#left = true
    this.#all.delete(this)
    this.#stop()
    to(this.#handle, bytes)
  }
}
