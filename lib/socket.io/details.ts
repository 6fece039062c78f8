import type { Socket } from 'socket.io'
import type { Body } from '../wire/codec.js'
import { listOf } from './body.js'

/** What others are told of a socket: what Socket.IO makes a `RemoteSocket` of. */
export interface Details {
  id: string
  handshake: unknown
  rooms: string[]
  data: unknown
}

/** Of these sockets, as the payload of an answer. It never throws: what cannot travel stays behind. */
export function detailsOf(sockets: readonly Socket[], moving: readonly Details[] = []): Body {
  const details = [...sockets.map(describe), ...moving]
  try {
    return listOf(details, 'the data of a socket')
  } catch {
    return listOf(details.map(asJson), 'the data of a socket')
  }
}

function describe(socket: Socket): Details {
  // express-session puts its store there, with all that hangs on it.
  const { sessionStore: _, ...handshake } = socket.handshake as Socket['handshake'] & { sessionStore?: unknown }
  return { id: socket.id, handshake, rooms: [...socket.rooms], data: socket.data }
}

/** One socket's data that cannot be cloned must not hide the others. */
function asJson(details: Details): Details {
  try {
    return JSON.parse(JSON.stringify(details)) as Details
  } catch (error) {
    warnOfData(details.id, 'other servers see {} in its place', error)
    return { id: details.id, handshake: {}, rooms: details.rooms, data: {} }
  }
}

/** A socket's data that cannot travel, and what becomes of it. */
export function warnOfData(id: string, outcome: string, error: unknown): void {
  process.emitWarning(
    `The data of socket ${JSON.stringify(id)} cannot be cloned, and ${outcome}. ` +
      'Keep in socket.data what the structured clone algorithm carries.',
    { type: 'Hubwire', code: 'ERR_HUB_PAYLOAD', detail: (error as Error).message },
  )
}
