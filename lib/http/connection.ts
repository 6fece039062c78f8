import type { HandoverToMember, HttpToMember } from '../relay/control.js'
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
  /** Nobody listens there any more: who would have to wait is refused. */
  closed: boolean
  /** Whether somebody was told that nobody serves its connections. */
  warned: boolean
  /** Connections that have not said enough yet to know where they belong. */
  readonly reading?: () => number
}

/** A connection on its way to a member. */
export interface Connection extends Parcel {
  readonly handle: RawHandle
  readonly affinity: Affinity
  /** It has been somewhere else already: it waits for its member as long as that lives. */
  readonly pinned: boolean
  /** It is a WebSocket, in the middle of a session that moves: nobody else can have it, and nobody can answer on it. */
  readonly session?: boolean
  readonly entrance: Entrance
  /** When it came in. */
  readonly since: number
}

/** Up to here, what has been read travels as text: Node spends less on a string than on anything else. In bytes. */
const MAX_TEXT = 4096

const BODY = JSON.stringify({ t: 'connection' } satisfies HttpToMember)
const KEPT = JSON.stringify({ t: 'connection', kept: true } satisfies HttpToMember)

/** A session's connection, on its way from `from` to the member with that address. */
export function sessionConnection(
  entrance: Entrance,
  handle: RawHandle,
  { from, to, n }: { from: number; to: number; n: number },
): Connection {
  const body = JSON.stringify({ t: 'taken', from, n } satisfies HandoverToMember)
  const affinity = { address: to }
  return { body, handle, affinity, pinned: true, session: true, entrance, since: performance.now() }
}

export function connectionFrom(
  entrance: Entrance,
  handle: RawHandle,
  bytes: Buffer | undefined,
  affinity: Affinity,
  { pinned = false, kept = false }: { pinned?: boolean; kept?: boolean | undefined } = {},
): Connection {
  if (bytes && bytes.length <= MAX_TEXT) {
    const body = JSON.stringify({ t: 'connection', read: bytes.toString('latin1') } satisfies HttpToMember)
    return { body, handle, affinity, pinned, entrance, since: performance.now() }
  }
  const body = kept ? KEPT : BODY
  return { body, handle, bytes, affinity, pinned, entrance, since: performance.now() }
}
