import { show } from './checks.js'
import { invalid } from './errors.js'
import { type ResolvedSeat, resolveSeats } from './supervisor/options.js'
import type { SeatView } from './supervisor/supervisor.js'
import type { SupervisionOptions, WorkerSpec } from './types.js'

/** What a new worker of each of these roles is like, also of those that nobody has yet. */
export function roleTemplates(
  specs: readonly WorkerSpec[],
  defaults: SupervisionOptions,
): ReadonlyMap<string, ResolvedSeat> {
  const templates = new Map<string, ResolvedSeat>()
  for (const spec of specs) {
    if (spec.role === undefined) continue
    const one = spec.id === undefined ? { ...spec, count: 1 } : spec
    for (const seat of resolveSeats([one], defaults, new Set())) templates.set(spec.role, seat)
  }
  return templates
}

/**
 * Which seats have to come and to go so that a role has `count` of them: those with the highest numbers go.
 * @throws {HubError} `ERR_INVALID_ARG_VALUE` when those that would have to go have ids of their own
 */
export function planScale(
  template: ResolvedSeat,
  role: string,
  count: number,
  seats: readonly SeatView[],
): { add: ResolvedSeat[]; remove: string[] } {
  if (!Number.isSafeInteger(count) || count < 0) {
    throw invalid(`hub.scale(${JSON.stringify(role)}): count must be a whole number from 0 on, not ${show(count)}.`)
  }
  const there = seats.filter((seat) => seat.role === role)
  const taken = new Set(seats.map(({ id }) => id))
  const add: ResolvedSeat[] = []
  for (let number = 1; there.length + add.length < count; number++) {
    const id = `${role}-${number}`
    if (!taken.has(id)) add.push({ ...template, id, role })
  }
  const numbered = there.map(({ id }) => id).filter((id) => numberIn(role, id) !== undefined)
  numbered.sort((a, b) => (numberIn(role, b) ?? 0) - (numberIn(role, a) ?? 0))
  const remove = numbered.slice(0, Math.max(0, there.length - count))
  if (there.length - remove.length > count) {
    const own = there.map(({ id }) => id).filter((id) => !numbered.includes(id))
    throw invalid(
      `hub.scale(${JSON.stringify(role)}, ${count}): ${own.map((id) => JSON.stringify(id)).join(', ')} of that role ` +
        `have ids of their own, and are not removed. Scale to at least ${own.length}, or hub.stop() them.`,
    )
  }
  return { add, remove }
}

function numberIn(role: string, id: string): number | undefined {
  const number = id.startsWith(`${role}-`) ? id.slice(role.length + 1) : ''
  return /^[1-9]\d*$/.test(number) ? Number(number) : undefined
}
