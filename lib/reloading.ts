import { checkOptions, show } from './checks.js'
import { HubError, invalid } from './errors.js'
import { normaliseId } from './supervisor/ids.js'
import type { SeatView } from './supervisor/supervisor.js'
import type { ReloadOptions } from './types.js'

const WHERE = 'hub.reload()'

/**
 * Which seats are meant, in their order. Those that were stopped stay so, unless nothing else could be meant.
 * @throws {HubError} `ERR_INVALID_ARG_VALUE`; `ERR_HUB_NO_MEMBER` for a role that nobody has, and ids that are unknown or
 * stopped
 */
export function readReload(
  options: ReloadOptions,
  seats: readonly SeatView[],
): { ids: readonly string[]; concurrency: number } {
  checkOptions(options, ['roles', 'ids', 'concurrency'], WHERE)
  const { concurrency = 1 } = options
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    throw invalid(`${WHERE}: concurrency must be a whole number from 1 on, not ${show(concurrency)}.`)
  }
  const roles = options.roles === undefined ? undefined : readList(options.roles, 'roles').map((role) => String(role))
  const ids = options.ids === undefined ? undefined : readList(options.ids, 'ids').map((id) => normaliseId(id, WHERE))
  for (const role of roles ?? []) {
    if (!seats.some((seat) => seat.role === role)) throw noRole(WHERE, role, seats)
  }
  for (const id of ids ?? []) {
    const seat = seats.find((one) => one.id === id)
    const name = JSON.stringify(id)
    if (!seat) {
      const known = seats.map((one) => JSON.stringify(one.id)).join(', ')
      const why = `no worker of this hub has the id ${name}. There are: ${known || 'none'}.`
      throw new HubError('ERR_HUB_NO_MEMBER', `${WHERE}: ${why}`)
    }
    if (seat.state === 'stopped') {
      throw new HubError('ERR_HUB_NO_MEMBER', `${WHERE}: ${name} is stopped. Start it with hub.restart(${name}).`)
    }
  }
  const everybody = roles === undefined && ids === undefined
  const meant = seats.filter(
    ({ id, role, state }) =>
      state !== 'stopped' && (everybody || ids?.includes(id) || (role !== undefined && roles?.includes(role))),
  )
  return { ids: meant.map(({ id }) => id), concurrency }
}

/** The error for a role that no worker has. */
export function noRole(where: string, role: string, seats: readonly SeatView[]): HubError {
  const known = new Set(seats.flatMap((seat) => (seat.role === undefined ? [] : JSON.stringify(seat.role))))
  const there = known.size === 0 ? 'Nobody has one.' : `There are: ${[...known].join(', ')}.`
  return new HubError(
    'ERR_HUB_NO_MEMBER',
    `${where}: no worker of this hub has the role ${JSON.stringify(role)}. ${there} Name it in the workers of ` +
      'startHub(), or hub.fork() it.',
  )
}

function readList<T>(given: readonly T[], name: string): readonly T[] {
  if (!Array.isArray(given)) throw invalid(`${WHERE}: ${name} must be a list, not ${show(given)}.`)
  return given
}
