import { HubError } from '../errors.js'
import { Role } from '../relay/directory.js'
import { Place } from '../relay/place.js'
import type { Call } from './call.js'

/** What the hub answers in place of a server: what was tried, on whom, and what to do. */

function attempt(call: Call): string {
  const { audience, task } = call
  if (audience instanceof Place) return `Request ${quote(task)} to ${quote(audience.id)}`
  if (audience instanceof Role) return `Delegation of ${quote(task)} to role ${quote(audience.name)}`
  return `Delegation of ${quote(task)}`
}

/** `cancelled`: a call whose number the refused one has. */
export function numberTaken(cancelled: Call): string {
  return (
    `A call was refused, because its number is that of an older one: its caller gave up ${attempt(cancelled)} long ago, ` +
    'and the handler still runs. Call again, and let handlers heed their signal.'
  )
}

/** What a member did that is not its own to do; `call`: where there is one. */
export function notYours(call: Call | undefined): HubError {
  const what = call ? `${attempt(call)}, which it was not asked` : 'a call that is not there, or is answered already'
  return new HubError('ERR_HUB_PROTOCOL', `It answered ${what}. The answer was dropped.`)
}

export function notYoursToCancel(call: Call | undefined): HubError {
  const what = call ? `${attempt(call)}, which ${quote(call.caller.place.id)} asked` : "another member's call"
  return new HubError('ERR_HUB_PROTOCOL', `It cancelled ${what}. The cancellation was dropped.`)
}

export function numberInUse(call: Call): HubError {
  return new HubError('ERR_HUB_PROTOCOL', `It gave the number of ${attempt(call)}, which still runs, to another call.`)
}

export function noMember(call: Call): string {
  return `Request ${quote(call.task)}: its target is not on this hub any more. Look at hub.members.`
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
    const { state, ended } = gone
    const what = state === 'given-up' ? 'was given up' : ended ? `exited${exitOf(gone)}` : 'was stopped'
    return `${attempt(call)}: ${who} now. ${quote(gone.id)} did, and ${what}: hub.restart(${quote(gone.id)}).`
  }
  const where = audience instanceof Place ? 'there' : 'in a worker'
  return `${attempt(call)}: ${who}. Call hub.handle(${quote(task)}, …) ${where}, before it is ready.`
}

export function memberExited(call: Call, place: Place): string {
  const id = quote(place.id)
  if (place.away) {
    return `${attempt(call)}: ${id} has left the hub with hub.close(). Ask it before, or hub.restart(${id}).`
  }
  if (place.state === 'stopped') {
    const why = place.ended ? `exited${exitOf(place)}, and its restart option wants no other process` : 'was stopped'
    return `${attempt(call)}: ${id} ${why}. Start it again with hub.restart(${id}).`
  }
  if (place.state === 'given-up') {
    return `${attempt(call)}: ${id} failed too often and was given up. Mend it, then hub.restart(${id}).`
  }
  const ended = place.hung
    ? 'was killed, because its event loop did not turn for longer than its hungAfter,'
    : `exited${exitOf(place)}`
  return (
    `${attempt(call)}: ${id} ${ended} while it worked on it. ` +
    'The task may have run; where it may run twice, use .retry(n).'
  )
}

export function noRoomForAnswer(call: Call): string {
  return (
    `${attempt(call)}: it has run, and its answer was dropped, because the queue towards its caller is full ` +
    '(maxQueueBytes). Ask for less at a time, or see what keeps this process from reading its messages.'
  )
}

export function overloaded(call: Call, why: string): string {
  return `${attempt(call)}: refused, because ${why}. Send less at a time, or add servers.`
}

function exitOf({ lastExit }: Place): string {
  if (!lastExit || (lastExit.code === null && lastExit.signal === null)) return ''
  return lastExit.signal === null ? ` (exit code ${lastExit.code})` : ` (signal ${lastExit.signal})`
}

function quote(name: string): string {
  return JSON.stringify(name)
}
