import type { EventEmitter } from 'node:events'
import type { Exit, LifecycleEvents, Member, SlowQueue } from './types.js'

/**
 * Prints what goes wrong in a cluster when nobody here listens to the lifecycle event that tells it: a worker that dies at
 * night leaves at least a line.
 */
export function printUnheard<E extends keyof LifecycleEvents>(
  lifecycle: EventEmitter,
  event: E,
  member: Member,
  info: Parameters<LifecycleEvents[E]>[1],
): void {
  const text = lifecycle.listenerCount(event) === 0 ? notice(event, member, info) : undefined
  if (text !== undefined) process.emitWarning(text, 'Hubwire')
}

/** Undefined for what is no trouble. */
function notice<E extends keyof LifecycleEvents>(
  event: E,
  member: Member,
  info: Parameters<LifecycleEvents[E]>[1],
): string | undefined {
  const who = JSON.stringify(member.id)
  switch (event) {
    case 'restart': {
      const { attempt, delay, exit } = info as Info<'restart'>
      return `${who} ended ${how(exit)}; restart ${attempt} follows in ${Math.round(delay)} ms.`
    }
    case 'give-up': {
      const { restarts, period, exit } = info as Info<'give-up'>
      const often = `${restarts} restarts within ${period / 1000} s were not enough`
      return `${who} ended ${how(exit)}, and is given up: ${often}. Mend it, then hub.restart(${who}).`
    }
    case 'hung': {
      const { silence } = info as Info<'hung'>
      return `${who}: its event loop has not turned for ${silence} ms (hungAfter). It is killed.`
    }
    case 'slow': {
      const { queue, queuedBytes } = info as Info<'slow'>
      return SLOW[queue](who, queuedBytes)
    }
    default:
      return undefined
  }
}

/** Which queue is at its bound, what is done about it, and what can be. */
const SLOW: Record<SlowQueue, (who: string, bytes: number) => string> = {
  link: (who, bytes) =>
    `${who} is slow: ${bytes} bytes wait for it, and its events are being dropped, oldest first. ` +
    `Look at what emit() returns, or await hub.drained(${who}).`,
  held: (who, bytes) =>
    `${who} is not ready, and ${bytes} bytes are held for it (maxHeldBytes): its events are being dropped, oldest first, ` +
    'and its tasks refused. See why it takes so long to start.',
  tasks: (_, bytes) =>
    `Tasks are being refused: as many as may, with ${bytes} bytes, wait in the hub (maxQueuedTasks, maxQueueBytes). ` +
    'Send less at a time, or add workers that serve them.',
  connections: (_, bytes) =>
    `Connections are being refused: as many as may, with ${bytes} bytes, wait for a worker (maxWaiting), or have not said ` +
    'yet what they want. Add workers, or see what keeps them busy.',
  recovery: (_, bytes) =>
    `What is kept for clients that are away is being forgotten before its time: it takes ${bytes} bytes (recovery.maxBytes, ` +
    'maxPackets, maxSessions). Allow more, or a shorter maxDisconnectionDuration.',
  outbox: (who, bytes) =>
    `${who} cannot send: ${bytes} bytes wait for the hub (maxQueueBytes), and what is sent is refused. ` +
    'Look at what emit() returns, or see what keeps the primary busy.',
}

type Info<E extends keyof LifecycleEvents> = Parameters<LifecycleEvents[E]>[1]

/** As it reads after "ended". */
function how({ code, signal }: Exit): string {
  return signal === null ? `with exit code ${code}` : `by signal ${signal}`
}
