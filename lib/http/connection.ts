import type { HttpToMember } from '../relay/control.js'
import type { Parcel } from '../wire/handle-lane.js'
import type { RawHandle } from './raw-handle.js'
import type { Affinity } from './sticky.js'

/** Where connections come from, and how long they may wait. */
export interface Entrance {
  /** Only members of this role serve it; undefined: all that serve. */
  readonly role: string | undefined
  readonly maxWaiting: number
  readonly waitTimeout: number
  /** Connections that came in here and that nobody has taken yet. */
  pending: number
}

/** A connection on its way to a member. */
export interface Connection extends Parcel {
  readonly handle: RawHandle
  readonly affinity: Affinity
  /** It has been somewhere else already: it waits for its member as long as that lives. */
  readonly pinned: boolean
  readonly entrance: Entrance
  /** When it came in. */
  readonly since: number
}

const BODY = JSON.stringify({ t: 'connection' } satisfies HttpToMember)

export function connectionFrom(
  entrance: Entrance,
  handle: RawHandle,
  bytes: Uint8Array | undefined,
  affinity: Affinity,
  pinned = false,
): Connection {
  return { body: BODY, handle, bytes, affinity, pinned, entrance, since: performance.now() }
}
