import type { Role } from '../relay/directory.js'
import type { Peer } from '../relay/peer.js'
import type { Place } from '../relay/place.js'
import { attachmentSize } from '../wire/batch.js'
import type { NumberTable } from './number-table.js'

/** Whom a task is for: a seat, any server among a role, or any server at all. */
export type Audience = Place | Role | undefined

/** What the hub knows of one incarnation's tasks. */
export interface Desk {
  readonly peer: Peer
  /** Its own calls, by the number that it gave them. */
  readonly calls: NumberTable<Call>
  /** How many calls it works on. */
  serving: number
  readonly handlers: Map<string, Handler>
}

/** A handler as the hub counts it. */
export interface Handler {
  readonly desk: Desk
  concurrency: number
  running: number
}

/** One request or delegation on its way through the hub. */
export class Call {
  /** Who asks. Kept with the call, as is its handler: the hub looks neither up again for the answer. */
  readonly desk: Desk
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
  /** What works on it. */
  handler: Handler | undefined
  /** Nobody waits for the answer any more, but the handler still runs. */
  cancelled = false

  constructor(desk: Desk, id: number, task: string, audience: Audience, retries: number, order: number) {
    this.desk = desk
    this.id = id
    this.task = task
    this.audience = audience
    this.retries = retries
    this.order = order
  }

  get caller(): Peer {
    return this.desk.peer
  }

  get server(): Peer | undefined {
    return this.handler?.desk.peer
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
    return this.frame.length + (this.attachment ? attachmentSize(this.attachment) : 0)
  }
}
