import { Role } from '../relay/directory.js'
import { Place } from '../relay/place.js'
import type { Call } from './call.js'

/** What the hub answers in place of a server: what was tried, on whom, and what to do. */

function attempt(call: Call): string {
  const { audience, task } = call
  if (audience instanceof Place) return `Request "${task}" to "${audience.id}"`
  if (audience instanceof Role) return `Delegation of "${task}" to role "${audience.name}"`
  return `Delegation of "${task}"`
}

export function noMember(call: Call): string {
  return `Request "${call.task}": its target is not on this hub any more. Look at hub.members.`
}

export function noHandler(call: Call): string {
  const { audience, task } = call
  const who =
    audience instanceof Place
      ? 'it does not serve this task'
      : audience instanceof Role
        ? 'no member of the role serves this task'
        : 'nobody serves this task'
  return `${attempt(call)}: ${who}. Call hub.handle(${JSON.stringify(task)}, …) there, before hub.ready().`
}

export function memberExited(call: Call, place: Place): string {
  if (place.state === 'stopped') {
    return `${attempt(call)}: "${place.id}" was stopped. Start it again with hub.restart(${JSON.stringify(place.id)}).`
  }
  if (place.state === 'given-up') {
    return `${attempt(call)}: "${place.id}" failed too often and was given up. Mend it, then hub.restart(${JSON.stringify(place.id)}).`
  }
  const how = place.lastExit
    ? place.lastExit.signal
      ? ` (signal ${place.lastExit.signal})`
      : ` (exit code ${place.lastExit.code})`
    : ''
  return (
    `${attempt(call)}: "${place.id}" exited${how} while it worked on it. ` +
    'The task may have run; where it may run twice, use .retry(n).'
  )
}

export function overloaded(call: Call, why: string): string {
  return `${attempt(call)}: refused, because ${why}. Send less at a time, or add servers.`
}
