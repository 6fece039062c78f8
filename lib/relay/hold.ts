import { Alarm } from '../alarm.js'
import { attachmentSize, type Batch, flatten, MARKER, readBatch, withoutEvents } from '../wire/batch.js'
import { messageCount } from '../wire/frame.js'
import type { Peer } from './peer.js'

interface Held {
  readonly sender: Peer
  readonly batch: Batch
}

/** What an entry costs beside its text, in bytes: of small messages it is the larger part. */
const ENTRY = 240

/** What waits for a seat that is not ready: frames in the order they came, with their senders, bounded in bytes. */
export class Hold {
  #held: Held[] = []
  /** How many of these, from the first on, have been relieved of their events. */
  #thinned = 0
  #bytes = 0
  #messages = 0
  readonly #maxBytes: number
  readonly #alarm: Alarm
  droppedEvents = 0

  /** `onFull`: it begins to drop events, or to refuse tasks. */
  constructor(maxBytes: number, onFull: () => void) {
    this.#maxBytes = maxBytes
    this.#alarm = new Alarm(onFull)
  }

  get bytes(): number {
    return this.#bytes
  }

  get messages(): number {
    return this.#messages
  }

  /** Whether it takes no more tasks. */
  get full(): boolean {
    return this.#memory >= this.#maxBytes
  }

  /** A task was refused because of that. */
  refused(): void {
    this.#alarm.raise()
  }

  get #memory(): number {
    return this.#bytes + this.#held.length * ENTRY
  }

  add(sender: Peer, frames: string, attachments: readonly Uint8Array[]): void {
    // What waits must own its memory: the pieces are slices of the batch that brought them.
    const batch = { text: flatten(MARKER + frames), attachments: attachments.map((bytes) => new Uint8Array(bytes)) }
    this.#held.push({ sender, batch })
    this.#count(batch, 1)
    if (this.#memory <= this.#maxBytes) return
    this.#dropEvents()
    this.#alarm.raise()
  }

  /** Empties the hold, frame by frame. */
  release(
    visit: (sender: Peer, text: string, at: number, length: number, attachment: Uint8Array | undefined) => void,
  ): void {
    const held = this.#held
    this.#held = []
    this.#thinned = 0
    this.#bytes = 0
    this.#messages = 0
    this.#alarm.settle(0, this.#maxBytes)
    for (const { sender, batch } of held) {
      readBatch(batch, (text, at, length, attachment) => visit(sender, text, at, length, attachment))
    }
  }

  /** Oldest first, until a quarter is free again: making room for each newcomer alone would go over all of it each time. */
  #dropEvents(): void {
    let entries = this.#held.length
    // What has been gone over holds no events any more.
    for (const held of this.#held.splice(this.#thinned)) {
      if (this.#bytes + entries * ENTRY <= this.#maxBytes * 0.75) {
        this.#held.push(held)
        continue
      }
      this.#count(held.batch, -1)
      const { batch, dropped } = withoutEvents(held.batch)
      this.droppedEvents += dropped
      if (batch.text.length === MARKER.length) {
        entries--
        continue
      }
      this.#count(batch, 1)
      this.#held.push({ sender: held.sender, batch })
      this.#thinned = this.#held.length
    }
  }

  #count(batch: Batch, sign: 1 | -1): void {
    this.#bytes += sign * (batch.text.length - MARKER.length)
    for (const attachment of batch.attachments) this.#bytes += sign * attachmentSize(attachment)
    readBatch(batch, (text, at) => {
      this.#messages += sign * messageCount(text, at)
    })
  }
}
