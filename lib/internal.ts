import { invalid } from './errors.js'
import { Member } from './member.js'

/**
 * The door for the rooms that come with Hubwire but are built on the hub: `http` and `socket.io`. Not for users.
 * @throws {HubError} `ERR_INVALID_ARG_VALUE` when it is no hub, or one of another copy of this package
 */
export function memberOf(hub: object, who: string): Member {
  if (hub instanceof Member) return hub
  throw invalid(`${who}: give the hub that startHub() or joinHub() returned, of the same installation of hubwire.`)
}
