import { HubError } from '../errors.js'
import type { ResolvedSeat } from './options.js'
import type { WorkerExit } from './process.js'

/** The error for a worker that ended before it was ready. */
export function startFailure(
  seat: ResolvedSeat,
  exit: WorkerExit,
  stderr: string,
  { timedOut, heard }: { timedOut: boolean; heard: boolean },
): HubError {
  const who = `Worker ${JSON.stringify(seat.id)} (${seat.exec})`
  if (exit.message !== undefined) {
    return new HubError(
      'ERR_HUB_MEMBER_EXITED',
      `${who} could not be started: ${exit.message}. Look at its exec, execArgv and env, and at the limits of this machine.`,
    )
  }
  if (timedOut) {
    return new HubError(
      'ERR_HUB_TIMEOUT',
      `${who} was not ready within ${seat.readyTimeout} ms, and was killed. ` +
        (heard
          ? 'It joined with { ready: "manual" }, but did not call hub.ready(). Raise readyTimeout if it needs longer. ' +
            'If it asks the primary something before: the primary answers once all workers are ready.'
          : 'It did not call joinHub(). Raise readyTimeout if it needs longer to come so far.') +
        quote(stderr),
    )
  }
  const how = exit.signal === null ? `exited with code ${exit.code}` : `was ended by ${exit.signal}`
  const hint =
    exit.code === 0
      ? 'Call joinHub() in it, and let it run.'
      : stderr.trim() === ''
        ? 'It wrote nothing to its stderr that was kept. Run its file alone to see why.'
        : 'Mend what it says in its stderr.'
  return new HubError('ERR_HUB_MEMBER_EXITED', `${who} ${how} before it was ready. ${hint}${quote(stderr)}`)
}

function quote(stderr: string): string {
  const text = stderr.trimEnd()
  return text === '' ? '' : `\nThe last of its stderr:\n${text.replace(/^/gm, '    ')}`
}
