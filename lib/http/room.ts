import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { HandoverToMember, HttpToMember } from '../relay/control.js'
import type { Handle } from '../wire/transport.js'

/** What a member asks of the room that serves HTTP in it. */
export interface HttpRoom {
  /** The handle, if there is one, is the room's from now on. */
  receive(message: HttpToMember, handle: Handle | undefined, bytes: Uint8Array | undefined): void
  /** What is told of a WebSocket that moves. The handle, if there is one, is the room's from now on. */
  webSocket(message: HandoverToMember, handle: Handle | undefined): void
  /** A request has opened a session of Socket.IO here. */
  sessionOpened(request: IncomingMessage): void
  /**
   * From now on connections that no request is in progress on go to the member with that address, others as soon as their
   * last response has been sent.
   */
  handOver(to: number): void
  /**
   * Whether a request of that session is in progress here that is no poll, or an upgrade; without an id: one that is about
   * to open a session.
   */
  isBusyWith(id: string | undefined): boolean
  /** A connection that came in another way, as part of a session: it counts as one of this member's. */
  adopt(socket: Socket): void
  /** Resolves when no request is in progress any more, or half of `within` milliseconds is over. */
  drain(within: number): Promise<void>
}
