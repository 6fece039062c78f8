import fc from 'fast-check'
import { type Batch, readBatch } from '#lib/wire/batch.js'
import type { Transport } from '#lib/wire/transport.js'

/** Keeps what it was given, as a copy that shares no memory with it, and acknowledges when it is told to. */
export class FakeTransport implements Transport {
  readonly batches: Batch[] = []
  readonly #unacknowledged: ((error: Error | null) => void)[] = []
  /** The most that were ever on their way at a time. */
  mostInFlight = 0

  get inFlight(): number {
    return this.#unacknowledged.length
  }

  /** All frames so far, in order. */
  get frames(): Frame[] {
    return this.batches.flatMap(framesOf)
  }

  send(batch: Batch, done: (error: Error | null) => void): void {
    const text = Buffer.from(batch.text, 'utf16le').toString('utf16le')
    this.batches.push({ text, attachments: batch.attachments.map((bytes) => bytes.slice()) })
    this.#unacknowledged.push(done)
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight)
  }

  sendHandle(): void {
    throw new Error('this transport carries no handles')
  }

  acknowledge(error: Error | null = null): void {
    const done = this.#unacknowledged.shift()
    if (!done) throw new Error('nothing is on its way')
    done(error)
  }

  acknowledgeAll(): void {
    while (this.inFlight > 0) this.acknowledge()
  }
}

export interface Frame {
  readonly text: string
  readonly attachment: string | undefined
}

export function framesOf(batch: Batch): Frame[] {
  const frames: Frame[] = []
  readBatch(batch, (text, at, length, attachment) => {
    frames.push({
      text: text.slice(at, at + length),
      attachment: attachment && Buffer.from(attachment).toString('hex'),
    })
  })
  return frames
}

/** Any text at all: Latin, wide, and surrogates without their other half. */
export function units(maxLength: number): fc.Arbitrary<string> {
  return fc
    .array(fc.oneof(fc.nat(127), fc.nat(255), fc.nat(0xffff), fc.integer({ min: 0xd800, max: 0xdfff })), { maxLength })
    .map((codes) => String.fromCharCode(...codes))
}

/** Resolves when the microtasks of this turn have run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
