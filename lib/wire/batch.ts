import { HubError } from '../errors.js'
import {
  ASKING,
  ATTACHED,
  HEADER_LENGTH,
  hasFlag,
  isWellFormed,
  KEPT,
  Kind,
  messageCount,
  readKind,
  readLength,
} from './frame.js'

/**
 * What a batch begins with. A control character first, so that no text that people write begins so; then the number of
 * the wire's version.
 */
export const MARKER = '\x11hubwire1\x11'

/** Frames that travel together: their text, the marker before it, and the attachments that they name, in order. */
export interface Batch {
  readonly text: string
  readonly attachments: readonly Uint8Array[]
}

/** What V8 and the allocator add to each attachment, in bytes: of small ones it is the larger part. */
const ATTACHMENT = 200

/** What an attachment that waits takes of memory, in bytes. */
export function attachmentSize({ byteLength }: Uint8Array): number {
  return byteLength + ATTACHMENT
}

export const NO_ATTACHMENTS: readonly Uint8Array[] = []

/** What `process.send` is given: the text alone where nothing is attached. */
export type Message = string | readonly [string, ...Uint8Array[]]

export function toMessage(batch: Batch): Message {
  return batch.attachments.length === 0 ? batch.text : [batch.text, ...batch.attachments]
}

/** The batch in a message that arrived, or undefined when the message is somebody else's. */
export function fromMessage(message: unknown): Batch | undefined {
  if (typeof message === 'string') {
    return message.startsWith(MARKER) ? { text: message, attachments: NO_ATTACHMENTS } : undefined
  }
  if (!Array.isArray(message) || typeof message[0] !== 'string' || !message[0].startsWith(MARKER)) return undefined
  // A list can say that it is of any length, in a few bytes: going over that would keep this process busy for minutes.
  if (message.length - 1 > message[0].length / HEADER_LENGTH) {
    throw new HubError(
      'ERR_HUB_PROTOCOL',
      `A batch carried ${message.length - 1} attachments, more than it can have frames. ` +
        'Do all processes run the same version of hubwire?',
    )
  }
  const attachments = message.slice(1)
  if (!attachments.every((attachment) => attachment instanceof Uint8Array)) {
    throw new HubError(
      'ERR_HUB_PROTOCOL',
      'A batch carried an attachment that is not binary. Do all processes run the same version of hubwire?',
    )
  }
  return { text: message[0], attachments }
}

/**
 * Whether a message that a `'message'` listener of your own received is one of the hub's batches. They pass by there,
 * because the hub shares the channel; ignore them.
 */
export function isHubMessage(message: unknown): boolean {
  const text = Array.isArray(message) ? message[0] : message
  return typeof text === 'string' && text.startsWith(MARKER)
}

/**
 * Goes over the frames of a batch.
 * @throws {HubError} `ERR_HUB_PROTOCOL` at the first frame that is not well formed
 */
export function readBatch(
  batch: Batch,
  visit: (text: string, at: number, length: number, attachment: Uint8Array | undefined) => void,
): void {
  const { text, attachments } = batch
  let attached = 0
  for (let at = MARKER.length; at < text.length; ) {
    const length = readLength(text, at)
    if (!isWellFormed(text, at, length)) throw malformed(at)
    let attachment: Uint8Array | undefined
    if (text.charCodeAt(at + 4) & ATTACHED) {
      attachment = attachments[attached++]
      if (attachment === undefined) throw malformed(at)
    }
    visit(text, at, length, attachment)
    at += length
  }
}

export function malformed(at: number): HubError {
  return new HubError(
    'ERR_HUB_PROTOCOL',
    `A batch is malformed at position ${at}: its rest was dropped. Do all processes run the same version of hubwire?`,
  )
}

/** The batch without its events, and how many there were: what a slow link is relieved of. */
export function withoutEvents(batch: Batch): { batch: Batch; dropped: number } {
  let text = MARKER
  let sender = ''
  const attachments: Uint8Array[] = []
  let dropped = 0
  readBatch(batch, (whole, at, length, attachment) => {
    const kind = readKind(whole, at)
    if (kind === Kind.Event) {
      dropped += messageCount(whole, at)
    } else if (kind === Kind.Packet && !hasFlag(whole, at, ASKING | KEPT)) {
      dropped++
    } else if (kind === Kind.Sender) {
      // Written only before a frame that stays.
      sender = whole.substring(at, at + length)
    } else {
      text += sender + whole.substring(at, at + length)
      sender = ''
      if (attachment) attachments.push(owned(attachment))
    }
  })
  return { batch: { text: flatten(text), attachments }, dropped }
}

/**
 * The same text in memory of its own. V8 keeps the whole parent of a substring alive, and a concatenation as a tree of
 * its parts; reading one character of a concatenation makes V8 copy it into one piece.
 */
export function flatten(text: string): string {
  const rope = `\0${text}`
  rope.charCodeAt(0)
  return rope.slice(1)
}

/** A received attachment is a view on the channel's read buffer, and would keep all of it alive. */
export function owned(attachment: Uint8Array): Uint8Array {
  return attachment.byteLength === attachment.buffer.byteLength ? attachment : new Uint8Array(attachment)
}
