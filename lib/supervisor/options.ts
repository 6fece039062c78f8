import { checkDuration, checkNumber, checkOptions, checkStrings, checkWord, show } from '../checks.js'
import { invalid } from '../errors.js'
import type { RestartKind, SupervisionOptions, WorkerSpec } from '../types.js'
import { resolveExec } from './exec.js'
import { checkName, normaliseId } from './ids.js'

/** `SupervisionOptions` with nothing left open. */
export interface Supervision {
  readonly restart: RestartKind
  readonly intensity: { readonly restarts: number; readonly period: number }
  readonly backoff: { readonly min: number; readonly max: number }
  readonly hungAfter: number | undefined
  readonly readyTimeout: number
  readonly gracePeriod: number
  readonly handoverTimeout: number
  readonly stderr: 'tail' | 'inherit'
  readonly transport: 'ipc' | 'pipe'
}

/** One seat, checked, with nothing left open. */
export interface ResolvedSeat extends Supervision {
  readonly id: string
  readonly role: string | undefined
  /** An absolute path. */
  readonly exec: string
  /** `undefined`: those of the primary, as cluster does. */
  readonly args: readonly string[] | undefined
  readonly execArgv: readonly string[] | undefined
  readonly env: ReadonlyMap<string, string | undefined>
}

/** The names of `SupervisionOptions`, for `checkOptions`. */
export const SUPERVISION_OPTIONS: readonly (keyof SupervisionOptions)[] = [
  'restart',
  'intensity',
  'backoff',
  'hungAfter',
  'readyTimeout',
  'gracePeriod',
  'handoverTimeout',
  'stderr',
  'transport',
]

const SPEC_OPTIONS: readonly string[] = [
  'id',
  'role',
  'count',
  'exec',
  'args',
  'execArgv',
  'env',
  ...SUPERVISION_OPTIONS,
]

const DEFAULTS: Supervision = {
  restart: 'always',
  intensity: { restarts: 5, period: 60_000 },
  backoff: { min: 100, max: 10_000 },
  hungAfter: undefined,
  readyTimeout: 30_000,
  gracePeriod: 10_000,
  handoverTimeout: 5_000,
  stderr: 'tail',
  transport: 'ipc',
}

/**
 * Turns what the user wrote into seats: expands roles to `web-1`, `web-2`, …, fills defaults, resolves paths, and refuses
 * what cannot work.
 * @param defaults Supervision for all of them; other properties are not looked at.
 * @param taken The ids that exist already. A role's numbers go on with the next free ones.
 * @param label How messages call an entry of the list.
 * @throws {HubError} `ERR_INVALID_ARG_VALUE`, naming the option or the id
 */
export function resolveSeats(
  specs: readonly WorkerSpec[],
  defaults: SupervisionOptions,
  taken: ReadonlySet<string>,
  label: (index: number) => string = (index) => `workers[${index}]`,
): ResolvedSeat[] {
  if (!Array.isArray(specs)) throw invalid(`startHub(): workers must be an array, not ${show(specs)}.`)
  const base = resolveSupervision({ ...defaults }, DEFAULTS, 'startHub(): ')
  const seats: ResolvedSeat[] = []
  const used = new Set<string>()
  const numbering = new Map<string, number>()
  for (const [index, spec] of specs.entries()) {
    const place = label(index)
    const options = checkOptions(spec, SPEC_OPTIONS, place)
    const { ids, role } =
      options.id === undefined ? expandRole(options, place, numbering, taken) : single(options, place)
    const where = describe(place, options)
    const seat = resolveSource(options, base, where)
    for (const id of ids) {
      if (used.has(id) || taken.has(id)) {
        throw invalid(
          `${where}: the id ${JSON.stringify(id)} is used twice. Every worker needs an id of its own; ` +
            'one that was stopped is started again with hub.restart(id).',
        )
      }
      used.add(id)
      seats.push({ ...seat, id, role })
    }
  }
  return seats
}

interface Names {
  readonly ids: readonly string[]
  readonly role: string | undefined
}

function single(options: Record<string, unknown>, place: string): Names {
  const id = normaliseId(options.id, place)
  const where = describe(place, options)
  if (options.count !== undefined) {
    throw invalid(`${where}: count is for roles, and an id is for one worker. Leave out one of the two.`)
  }
  return { ids: [id], role: options.role === undefined ? undefined : checkName(options.role, 'role', where) }
}

function expandRole(
  options: Record<string, unknown>,
  place: string,
  numbering: Map<string, number>,
  taken: ReadonlySet<string>,
): Names {
  if (options.role === undefined) throw invalid(`${place}: a worker needs an id or a role. Give it one.`)
  const role = checkName(options.role, 'role', place)
  const where = describe(place, options)
  const count = options.count === undefined ? 1 : options.count
  if (typeof count !== 'number' || !Number.isSafeInteger(count) || count < 0) {
    throw invalid(`${where}: count must be a whole number from 0 on, not ${show(count)}.`)
  }
  const ids: string[] = []
  let number = numbering.get(role) ?? 0
  while (ids.length < count) {
    number++
    const id = checkName(`${role}-${number}`, 'id', where)
    if (!taken.has(id)) ids.push(id)
  }
  // The same role may stand in the list twice, with different files say: its numbers go on.
  numbering.set(role, number)
  return { ids, role }
}

function describe(place: string, options: Record<string, unknown>): string {
  const name = options.id === undefined ? `role ${show(options.role)}` : `id ${show(options.id)}`
  return `${place} (${name})`
}

function resolveSource(
  options: Record<string, unknown>,
  base: Supervision,
  where: string,
): Omit<ResolvedSeat, 'id' | 'role'> {
  return {
    ...resolveSupervision(options, base, `${where}: `),
    exec: resolveExec(options.exec, where),
    args: options.args === undefined ? undefined : checkStrings(options.args, `${where}: args`),
    execArgv: options.execArgv === undefined ? undefined : checkStrings(options.execArgv, `${where}: execArgv`),
    env: resolveEnv(options.env, where),
  }
}

function resolveEnv(env: unknown, where: string): ReadonlyMap<string, string | undefined> {
  // A map, because '__proto__' is an ordinary name for a variable.
  const resolved = new Map<string, string | undefined>()
  if (env === undefined) return resolved
  if (typeof env !== 'object' || env === null || Array.isArray(env)) {
    throw invalid(`${where}: env must be an object of strings, not ${show(env)}.`)
  }
  for (const [name, value] of Object.entries(env) as [string, unknown][]) {
    if (value !== undefined && typeof value !== 'string') {
      throw invalid(`${where}: env.${name} must be a string, not ${show(value)}.`)
    }
    resolved.set(name, value)
  }
  return resolved
}

function resolveSupervision(options: Record<string, unknown>, base: Supervision, prefix: string): Supervision {
  const { restart, intensity, backoff, hungAfter, readyTimeout, gracePeriod, handoverTimeout, stderr, transport } =
    options
  return {
    restart:
      restart === undefined
        ? base.restart
        : checkWord<RestartKind>(restart, ['always', 'on-failure', 'never'], `${prefix}restart`),
    intensity: intensity === undefined ? base.intensity : resolveIntensity(intensity, base, `${prefix}intensity`),
    backoff: backoff === undefined ? base.backoff : resolveBackoff(backoff, base, `${prefix}backoff`),
    hungAfter: hungAfter === undefined ? base.hungAfter : checkDuration(hungAfter, `${prefix}hungAfter`),
    readyTimeout: readyTimeout === undefined ? base.readyTimeout : checkDuration(readyTimeout, `${prefix}readyTimeout`),
    gracePeriod: gracePeriod === undefined ? base.gracePeriod : checkNumber(gracePeriod, 0, `${prefix}gracePeriod`),
    handoverTimeout:
      handoverTimeout === undefined
        ? base.handoverTimeout
        : checkNumber(handoverTimeout, 0, `${prefix}handoverTimeout`),
    stderr: stderr === undefined ? base.stderr : checkWord(stderr, ['tail', 'inherit'] as const, `${prefix}stderr`),
    transport:
      transport === undefined ? base.transport : checkWord(transport, ['ipc', 'pipe'] as const, `${prefix}transport`),
  }
}

function resolveIntensity(given: unknown, base: Supervision, where: string): Supervision['intensity'] {
  const { restarts = base.intensity.restarts, period = base.intensity.period } = checkOptions(
    given,
    ['restarts', 'period'],
    where,
  )
  return { restarts: checkNumber(restarts, 0, `${where}.restarts`), period: checkDuration(period, `${where}.period`) }
}

function resolveBackoff(given: unknown, base: Supervision, where: string): Supervision['backoff'] {
  const { min: givenMin = base.backoff.min, max: givenMax } = checkOptions(given, ['min', 'max'], where)
  const min = checkNumber(givenMin, 0, `${where}.min`)
  // When only one of the two is given, the other's default must not contradict it.
  const max = givenMax === undefined ? Math.max(min, base.backoff.max) : checkNumber(givenMax, 0, `${where}.max`)
  if (max < min) throw invalid(`${where}: max (${max}) is under min (${min}). Exchange them.`)
  return { min, max }
}
