import type { Socket } from 'node:net'
import { detach, type RawHandle, readFrom } from './raw-handle.js'
import { type HeadPart, isComplete, isTls } from './request-head.js'

export interface ReceptionOptions {
  /** Which part of the first request to wait for. */
  part: HeadPart
  /** So many bytes without it, and the client is told 431. */
  maxRequestLine: number
  /** How long it may take, in milliseconds. */
  headTimeout: number
  /** The connection, which nobody reads any more, and all that has been read of it. */
  onRead(handle: RawHandle, bytes: Buffer): void
  onRefuse(handle: RawHandle, status: 408 | 431): void
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
    const guest = new Guest(handle, this.#options, () => this.#guests.delete(guest))
    this.#guests.add(guest)
  }

  close(): void {
    for (const guest of this.#guests) guest.leave()
  }
}

class Guest {
  readonly #options: ReceptionOptions
  readonly #gone: () => void
  readonly #socket: Socket
  readonly #timer: NodeJS.Timeout
  #bytes: Buffer | undefined

  constructor(handle: RawHandle, options: ReceptionOptions, gone: () => void) {
    this.#options = options
    this.#gone = gone
    this.#socket = readFrom(handle, (bytes) => this.#read(bytes))
    this.#timer = setTimeout(() => this.#late(), options.headTimeout)
    this.#socket.on('error', () => this.leave())
    this.#socket.once('end', () => this.#ended())
    // Without a reader there is no end. The bytes do not come this way.
    this.#socket.resume()
  }

  leave(): void {
    clearTimeout(this.#timer)
    this.#gone()
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    const { part, maxRequestLine, onRead, onRefuse } = this.#options
    // The chunk is a view on a buffer that the next connection reads into.
    const bytes = this.#bytes ? Buffer.concat([this.#bytes, chunk]) : Buffer.from(chunk)
    this.#bytes = bytes
    if (isTls(bytes) || isComplete(bytes, part)) this.#release(onRead, bytes)
    else if (bytes.length > maxRequestLine) this.#release((handle) => onRefuse(handle, 431), bytes)
  }

  #late(): void {
    // Browsers open connections that they may never use; to them a 408 would be the answer to their next request.
    if (!this.#bytes) this.leave()
    else this.#release((handle) => this.#options.onRefuse(handle, 408), this.#bytes)
  }

  /** The client says no more. What it said is for a worker to judge, which will find the same end. */
  #ended(): void {
    if (this.#bytes) this.#release(this.#options.onRead, this.#bytes)
    else this.leave()
  }

  #release(to: (handle: RawHandle, bytes: Buffer) => void, bytes: Buffer): void {
    clearTimeout(this.#timer)
    this.#gone()
    const handle = detach(this.#socket)
    if (handle) to(handle, bytes)
    else this.#socket.destroy()
  }
}
