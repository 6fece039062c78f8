import { makeSessionId } from '../http/session-id.js'
import type { Member } from '../member.js'
import { movedId } from './private-opening.js'
import type { AnyServer } from './types.js'

type GenerateId = AnyServer['engine']['generateId']

/** Names the sessions that this server opens after this process, so that their requests find their way here. */
export function nameSessions(io: AnyServer, member: Member): void {
  if (io.engine) nameSessionsOf(io.engine, member)
  // The engine is made when the server is attached to an HTTP server, which may come later.
  const bind = io.bind
  io.bind = function (this: AnyServer, engine) {
    nameSessionsOf(engine as AnyServer['engine'], member)
    return bind.call(this, engine)
  }
}

function nameSessionsOf(engine: AnyServer['engine'], member: Member): void {
  const generateId: GenerateId = engine.generateId
  engine.generateId = function (this: typeof engine, request) {
    // It has been opened elsewhere, and keeps its name.
    const moved = movedId(request)
    if (moved !== undefined) return moved
    const secret = generateId.call(this, request)
    member.http?.sessionOpened(request)
    return typeof secret === 'string'
      ? makeSessionId(member.address, secret)
      : secret.then((id) => makeSessionId(member.address, id))
  }
}
