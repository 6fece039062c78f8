import type { Socket } from 'node:net'
import { HubError } from '../errors.js'
import { type Batch, MARKER, NO_ATTACHMENTS } from './batch.js'
import { HEADER_LENGTH, MAX_BINARY_LENGTH, MAX_TEXT_LENGTH, uint32 } from './frame.js'

/**
 * Batches over a stream of bytes. Each is
 *
 * ```
 * 0 units of text (4)   4 two bytes a unit? (1)   5 number of attachments (4)
 * 9 the length of each attachment (4)   the text   the attachments
 * ```
 *
 * Numbers have their big end first, as in frames.
 */
const HEAD = 9

/** A batch may hold a message of the largest size behind others; what claims to be longer is not waited for. */
const MAX_UNITS = 2 * MAX_TEXT_LENGTH
const MAX_ATTACHED = 4 * MAX_BINARY_LENGTH

/** Only text with a unit above 255 has one of these; V8 sees at once that a one-byte string has none. */
const WIDE = /[\u0100-\uffff]/

/** Writes batches to the stream, and reads those that come. */
export class Pipe {
  readonly #socket: Socket

  /** `onBatch` gets each batch that came, and must not throw. What can be none is thrown by `read`, and ends the stream. */
  constructor(socket: Socket, onBatch: (read: () => Batch) => void) {
    this.#socket = socket
    const reader = new PipeReader(onBatch)
    socket.on('data', (chunk: Buffer) => {
      if (!reader.push(chunk)) socket.destroy()
    })
  }

  /** Calls `done` once the operating system has the batch, or with an error when it does not take it. */
  send({ text, attachments }: Batch, done: (error: Error | null) => void): void {
    const socket = this.#socket
    const gone = (error?: Error | null) => done(error ?? null)
    const wide = WIDE.test(text)
    const head = headOf(text.length, wide, attachments)
    const count = attachments.length
    if (!wide && count === 0) {
      // The usual case: one string, one call of the system.
      socket.write(head + text, 'latin1', gone)
      return
    }
    socket.cork()
    socket.write(wide ? head : head + text, 'latin1')
    if (wide) socket.write(text, 'utf16le', count > 0 ? undefined : gone)
    // By number: an event to several members has the same attachment for each.
    for (const [i, attachment] of attachments.entries()) socket.write(attachment, i === count - 1 ? gone : undefined)
    socket.uncork()
  }
}

function headOf(units: number, wide: boolean, attachments: readonly Uint8Array[]): string {
  let head = uint32(units) + (wide ? '\x01' : '\0') + uint32(attachments.length)
  for (const { byteLength } of attachments) head += uint32(byteLength)
  return head
}

/** Puts batches together from whatever pieces they come in. */
export class PipeReader {
  readonly #onBatch: (read: () => Batch) => void
  /** What has come of a batch that is not whole, and how many bytes it takes to go on with it. */
  #parts: Buffer[] = []
  #have = 0
  #need = 0

  constructor(onBatch: (read: () => Batch) => void) {
    this.#onBatch = onBatch
  }

  /**
   * Takes the next bytes; those of attachments are not copied. False when they can be no batch: where the next one would
   * begin, nobody knows.
   */
  push(bytes: Buffer): boolean {
    try {
      this.#read(bytes)
      return true
    } catch (error) {
      this.#onBatch(() => {
        throw error
      })
      return false
    }
  }

  #read(bytes: Buffer): void {
    let chunk = bytes
    if (this.#have > 0) {
      this.#parts.push(bytes)
      this.#have += bytes.length
      // Put together once, and not again with each piece of a large one.
      if (this.#have < this.#need) return
      chunk = Buffer.concat(this.#parts, this.#have)
      this.#parts = []
      this.#have = 0
    }
    let at = 0
    for (;;) {
      const need = lengthOf(chunk, at)
      if (chunk.length - at < need) {
        if (at === chunk.length) return
        this.#parts.push(chunk.subarray(at))
        this.#have = chunk.length - at
        this.#need = need
        return
      }
      const batch = batchAt(chunk, at)
      this.#onBatch(() => batch)
      at += need
    }
  }
}

/** How many bytes the batch there has, as far as can be told: at least so many it takes to tell more. */
function lengthOf(chunk: Buffer, at: number): number {
  if (chunk.length - at < HEAD) return HEAD
  const units = chunk.readUInt32BE(at)
  const count = chunk.readUInt32BE(at + 5)
  if (units > MAX_UNITS || count * HEADER_LENGTH > units) throw impossible(`${units} units with ${count} attachments`)
  const table = HEAD + 4 * count
  if (chunk.length - at < table) return table
  let attached = 0
  for (let i = 0; i < count; i++) attached += chunk.readUInt32BE(at + HEAD + 4 * i)
  if (attached > MAX_ATTACHED) throw impossible(`attachments of ${attached} bytes`)
  return table + (chunk[at + 4] === 0 ? units : 2 * units) + attached
}

function batchAt(chunk: Buffer, at: number): Batch {
  const units = chunk.readUInt32BE(at)
  const wide = chunk[at + 4] !== 0
  const count = chunk.readUInt32BE(at + 5)
  const begin = at + HEAD + 4 * count
  let end = begin + (wide ? 2 * units : units)
  const text = chunk.toString(wide ? 'utf16le' : 'latin1', begin, end)
  if (!text.startsWith(MARKER)) throw impossible('no marker')
  if (count === 0) return { text, attachments: NO_ATTACHMENTS }
  const attachments: Uint8Array[] = []
  for (let i = 0; i < count; i++) {
    const length = chunk.readUInt32BE(at + HEAD + 4 * i)
    attachments.push(new Uint8Array(chunk.buffer, chunk.byteOffset + end, length))
    end += length
  }
  return { text, attachments }
}

function impossible(what: string): HubError {
  return new HubError(
    'ERR_HUB_PROTOCOL',
    `A batch came over the pipe that has ${what}: nothing more is read from there. ` +
      'Does anything else write to that file descriptor?',
  )
}
