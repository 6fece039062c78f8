import type { Socket } from 'socket.io'
import type { SessionData } from '../recovery.js'
import { pack as packed, unpack } from '../wire/portable.js'
import { listOf } from './body.js'
import { warnOfData } from './details.js'
import type { Part, RequestState } from './private-engine.js'

/** What both processes must agree on. */
export const VERSION = 2

/** One socket of a session that moves. */
export interface SocketState {
  readonly nsp: string
  readonly id: string
  readonly pid: string | undefined
  readonly rooms: readonly unknown[]
  readonly data: unknown
  readonly handshake: unknown
  /** What the application's `onHandover` returned. */
  readonly app: unknown
}

/** A session that moves. */
export interface SessionState {
  readonly id: string
  readonly request: RequestState
  /** It has no connection of its own. */
  readonly polls: boolean
  readonly missingBeats: number
  /** How long it may take to open it again, in milliseconds. */
  readonly within: number
  readonly sockets: readonly SocketState[]
  /** Parts that were to be sent to the client. */
  readonly unsent: readonly Part[]
  /** Parts of a packet of the client that is not complete yet. */
  readonly begun: readonly Part[]
  /** Bytes of the client that make no whole message yet. */
  readonly unread: Uint8Array
}

export { unpack }

export function pack(value: unknown): SessionData {
  return packed(value, 'a session that moves')
}

/** A socket's data and the application's own state as far as they can travel. It never throws. */
export function socketState(socket: Socket, pid: string | undefined, app: unknown): SocketState {
  const { id, nsp } = socket
  const { headers, time, address, xdomain, secure, issued, url, query, auth } = socket.handshake
  const plain = { headers, time, address, xdomain, secure, issued, url, query, auth }
  return {
    nsp: nsp.name,
    id,
    pid,
    rooms: [...socket.rooms],
    data: portable(id, socket.data, {}, 'the process that takes over finds {} in its place'),
    handshake: portable(id, plain, undefined, 'the process that takes over finds another handshake'),
    app: portable(id, app, undefined, 'what onHandover returned stays behind'),
  }
}

function portable(id: string, value: unknown, otherwise: unknown, outcome: string): unknown {
  try {
    listOf([value], 'the data of a socket')
    return value
  } catch (error) {
    warnOfData(id, outcome, error)
    return otherwise
  }
}
