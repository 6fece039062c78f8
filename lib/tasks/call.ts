import type { Role } from '../relay/directory.js'
import type { Peer } from '../relay/peer.js'
import type { Place } from '../relay/place.js'

/** Whom a task is for: a seat, any server among a role, or any server at all. */
export type Audience = Place | Role | undefined

/** A handler as the hub counts it. */
export interface Handler {
  concurrency: number
  running: number
}

/** One request or delegation on its way through the hub. */
export class Call {
  readonly caller: Peer
  readonly id: number
  readonly task: string
  readonly audience: Audience
  retries: number
  /** Kept only while it may have to be sent (again): text in memory of its own. */
  frame = ''
  attachment: Uint8Array | undefined
  /** Bytes that are kept for a retry until it is over. */
  forRetry = 0
  /** Place in the order of arrival. */
  readonly order: number
  queued = false
  /** Who works on it. */
  server: Peer | undefined
  handler: Handler | undefined
  /** Nobody waits for the answer any more, but the handler still runs. */
  cancelled = false

  constructor(caller: Peer, id: number, task: string, audience: Audience, retries: number, order: number) {
    this.caller = caller
    this.id = id
    this.task = task
    this.audience = audience
    this.retries = retries
    this.order = order
  }

  keep(text: string, attachment: Uint8Array | undefined): void {
    if (this.frame !== '') return
    this.frame = text
    // Not slice(): that of a Buffer shares its memory.
    this.attachment = attachment && new Uint8Array(attachment)
  }

  /** It will not be sent again. */
  drop(): void {
    this.frame = ''
    this.attachment = undefined
  }

  get bytes(): number {
    return this.frame.length + (this.attachment?.byteLength ?? 0)
  }
}
