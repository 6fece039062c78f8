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
  readonly #guests = new Set<Guest>()

  constructor(options: ReceptionOptions) {
    this.#options = options
  }

  /** Connections that have not said enough yet. */
  get size(): number {
    return this.#guests.size
  }

  receive(handle: RawHandle): void {
    const { maxReading, onCrowded } = this.#options
    if (this.#guests.size >= maxReading) {
      for (const oldest of this.#guests) {
        oldest.leave()
        break
      }
      onCrowded()
    }
    const guest = new Guest(handle, this.#options, () => this.#guests.delete(guest))
    this.#guests.add(guest)
  }

  close(): void {
    for (const guest of this.#guests) guest.leave()
  }
}

class Guest {
  readonly #options: ReceptionOptions
  readonly #handle: RawHandle
  readonly #gone: () => void
  readonly #stop: () => void
  readonly #timer: NodeJS.Timeout
  #bytes: Buffer | undefined
  #left = false

  constructor(handle: RawHandle, options: ReceptionOptions, gone: () => void) {
    this.#options = options
    this.#handle = handle
    this.#gone = gone
    this.#stop = readFrom(handle, (bytes) => this.#read(bytes))
    this.#timer = setTimeout(() => this.#late(), options.headTimeout)
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

  #late(): void {
    // Browsers open connections that they may never use; to them a 408 would be the answer to their next request.
    if (!this.#bytes) this.leave()
    else this.#release((handle) => this.#options.onRefuse(handle, 408), this.#bytes)
  }

  #release(to: (handle: RawHandle, bytes: Buffer) => void, bytes: Buffer): void {
    this.#left = true
    clearTimeout(this.#timer)
    this.#gone()
    this.#stop()
    to(this.#handle, bytes)
  }
}
