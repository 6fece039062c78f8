import type { Namespace, Socket } from 'socket.io'
import { checkOptions, show } from '../checks.js'
import { HubError, invalid } from '../errors.js'
import { memberOf } from '../internal.js'
import type { Hub } from '../types.js'
import { hubAdapter } from './adapter.js'
import { Moves } from './moves.js'
import { adapterClass } from './private.js'
import { nameSessions } from './sessions.js'
import type { AnyServer } from './types.js'

/** A hub of any contract: what it has of all of them alike. */
type AnyHub = Pick<Hub, 'id' | 'members'>

/** The options of `attachSocketIo()`. */
export interface AttachOptions {
  /**
   * Called for each socket at the moment at which another process takes it over, as at a reload. What it returns is to be
   * had there with `handoverOf(socket)`, and as `socket.handover.state`: what the structured clone algorithm carries.
   * It must not return a promise. @default nothing
   */
  onHandover?: (socket: Socket) => unknown
}

/**
 * Makes a Socket.IO server one of many: rooms, broadcasts, acknowledgements, `fetchSockets()` and `serverSideEmit()`
 * reach the sockets of all members of the hub, in all namespaces. And it names sessions after this worker, so that the
 * requests of a client find their way back to it.
 *
 * It works in a worker, also in one without an HTTP server, and in the primary: `attachSocketIo(new Server(), hub)` is
 * all that it takes to emit from there. Call it before clients connect.
 * @throws {HubError} `ERR_INVALID_ARG_VALUE` when one of them is not what it should be, or when another server of this
 * process is attached already; `ERR_HUB_CLOSED`
 */
export function attachSocketIo<Server extends AnyServer>(io: Server, hub: AnyHub, options: AttachOptions = {}): Server {
  checkOptions(options, ['onHandover'], 'attachSocketIo()')
  const { onHandover = () => undefined } = options
  if (typeof onHandover !== 'function') {
    throw invalid(`attachSocketIo(): onHandover must be a function, not ${show(onHandover)}.`)
  }
  const member = memberOf(hub, 'attachSocketIo()')
  // Duck typing: another copy of socket.io is as good.
  if (typeof io?.adapter !== 'function' || typeof io.of !== 'function') {
    throw invalid('attachSocketIo(): give a Server of socket.io first, then the hub.')
  }
  if (member.closed) {
    throw new HubError('ERR_HUB_CLOSED', "attachSocketIo(): this member's hub is closed. Attach before hub.close().")
  }
  if (member.packets.has('/')) {
    throw invalid(
      'attachSocketIo(): a Socket.IO server of this process is attached already. Use that one, or close it first.',
    )
  }
  if (io.sockets.sockets.size > 0) {
    throw invalid('attachSocketIo(): clients are connected already. Call it before the server listens.')
  }
  const moves = new Moves(io, member, onHandover)
  const HubAdapter = hubAdapter(adapterClass(io), member.packets, moves.doors)
  // Socket.IO types the class by its whole in-memory adapter; it calls it with a namespace.
  io.adapter(HubAdapter as unknown as (nsp: Namespace) => Namespace['adapter'])
  nameSessions(io, member)
  moves.start()
  return io
}
