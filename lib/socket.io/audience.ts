import type { Audience } from '../packets.js'
import { Scope } from '../wire/packet.js'
import { roomKey } from './room-key.js'
import type { BroadcastOptions } from './types.js'

/** Whether it is for the sockets of this process alone. */
export function isLocal({ flags }: BroadcastOptions): boolean {
  return flags?.local === true
}

/** Whom the options mean, among the members of the hub. */
export function audience(opts: BroadcastOptions): Audience {
  // What is no string goes by its name; the body has what it really is.
  const rooms = Array.from(opts.rooms, roomKey)
  if (isLocal(opts)) return { scope: Scope.Nobody, rooms }
  return rooms.length === 0 ? { scope: Scope.Sockets } : { scope: Scope.Rooms, rooms }
}
