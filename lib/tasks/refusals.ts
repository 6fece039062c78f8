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

/** `former`: seats that served the task, and will not come back by themselves. */
export function noHandler(call: Call, former: readonly Place[]): string {
  const { audience, task } = call
  const who =
    audience instanceof Place
      ? 'it does not serve this task'
      : audience instanceof Role
        ? 'no member of the role serves this task'
        : 'nobody serves this task'
  const [gone] = former
  if (gone) {
    const what = gone.state === 'given-up' ? 'was given up' : 'was stopped'
    return `${attempt(call)}: ${who} now. "${gone.id}" did, and ${what}: hub.restart(${JSON.stringify(gone.id)}).`
  }
  const where = audience instanceof Place ? 'there' : 'in a worker'
  return `${attempt(call)}: ${who}. Call hub.handle(${JSON.stringify(task)}, …) ${where}, before it is ready.`
}

export function memberExited(call: Call, place: Place): string {
  if (place.away) {
    return `${attempt(call)}: "${place.id}" has left the hub with hub.close(). Ask it before, or hub.restart(${JSON.stringify(place.id)}).`
  }
  if (place.state === 'stopped') {
    return `${attempt(call)}: "${place.id}" was stopped. Start it again with hub.restart(${JSON.stringify(place.id)}).`
  }
  if (place.state === 'given-up') {
    return `${attempt(call)}: "${place.id}" failed too often and was given up. Mend it, then hub.restart(${JSON.stringify(place.id)}).`
  }
  const ended = place.hung
    ? 'was killed, because its event loop did not turn for longer than its hungAfter,'
    : `exited${exitOf(place)}`
  return (
    `${attempt(call)}: "${place.id}" ${ended} while it worked on it. ` +
    'The task may have run; where it may run twice, use .retry(n).'
  )
}

export function overloaded(call: Call, why: string): string {
  return `${attempt(call)}: refused, because ${why}. Send less at a time, or add servers.`
}

function exitOf({ lastExit }: Place): string {
  if (!lastExit) return ''
  return lastExit.signal === null ? ` (exit code ${lastExit.code})` : ` (signal ${lastExit.signal})`
}
