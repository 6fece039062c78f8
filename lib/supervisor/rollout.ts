import { HubError } from '../errors.js'
import type { ReloadPhase, ReloadProgress } from '../types.js'
import type { Seat } from './seat.js'

/**
 * Exchanges the processes of these seats for new ones, so many at a time. When one of them fails, no further one is
 * begun, and those under way are finished.
 * @throws {HubError} the reason of the first one that failed
 */
export async function rollOut(
  seats: readonly Seat[],
  concurrency: number,
  tell: (seat: Seat, progress: ReloadProgress) => void,
): Promise<void> {
  const waiting = [...seats]
  const renewed: string[] = []
  let failed: { seat: Seat; error: HubError } | undefined
  const exchange = async (seat: Seat) => {
    const total = seats.length
    let from = 0
    let to = 0
    const step = (phase: ReloadPhase, more: Pick<ReloadProgress, 'exit' | 'reason'> = {}) =>
      tell(seat, { phase, from, to, done: renewed.length, total, ...more })
    try {
      const exit = await seat.reload({
        starting: (...incarnations) => {
          ;[from, to] = incarnations
          step('starting')
        },
        draining: (...incarnations) => {
          ;[from, to] = incarnations
          step('draining')
        },
      })
      renewed.push(seat.spec.id)
      step('done', exit && { exit })
    } catch (cause) {
      const error = cause as HubError
      // Somebody has stopped it meanwhile: that is what has become of it. The end of the hub is a failure.
      if (seat.staysDown && error.code !== 'ERR_HUB_CLOSED') {
        renewed.push(seat.spec.id)
        step('done')
        return
      }
      step('failed', { reason: error.message })
      failed ??= { seat, error }
    }
  }
  const lane = async () => {
    for (let seat = waiting.shift(); seat && !failed; seat = waiting.shift()) await exchange(seat)
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, seats.length) }, lane))
  if (failed) throw rolloutFailure(failed.seat, failed.error, renewed, seats)
}

function rolloutFailure(failed: Seat, error: HubError, renewed: string[], seats: readonly Seat[]): HubError {
  const left = seats.map(({ spec }) => spec.id).filter((id) => id !== failed.spec.id && !renewed.includes(id))
  const stays = failed.state === 'ready' ? ', which keeps its old process' : ''
  const parts = [`hub.reload() stopped at ${JSON.stringify(failed.spec.id)}${stays}`]
  if (renewed.length > 0) parts.push(`${list(renewed)} ${renewed.length === 1 ? 'was' : 'were'} reloaded before`)
  if (left.length > 0) parts.push(`${list(left)} ${left.length === 1 ? 'was' : 'were'} not`)
  return new HubError(error.code, `${parts.join('; ')}. ${error.message}`, { cause: error })
}

function list(ids: readonly string[]): string {
  return ids.map((id) => JSON.stringify(id)).join(', ')
}
