import type { Exit, LifecycleEvents, Member } from './types.js'

/**
 * What is printed when something goes wrong in a cluster and nobody listens to the lifecycle event that tells it: a
 * worker that dies at night leaves at least a line. Undefined for what is no trouble.
 */
export function notice<E extends keyof LifecycleEvents>(
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
      const { queuedBytes } = info as Info<'slow'>
      return (
        `${who} is slow: ${queuedBytes} bytes wait for it, and its events are being dropped, oldest first. ` +
        `Look at what emit() returns, or await hub.drained(${who}).`
      )
    }
    default:
      return undefined
  }
}

type Info<E extends keyof LifecycleEvents> = Parameters<LifecycleEvents[E]>[1]

/** As it reads after "ended". */
function how({ code, signal }: Exit): string {
  return signal === null ? `with exit code ${code}` : `by signal ${signal}`
}
