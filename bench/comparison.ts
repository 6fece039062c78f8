/** What a bench consists of: comparisons, each with its contestants, its figures and its targets. */
import type { Broker } from './brokers.js'
import type { Measurement } from './measurement.js'

/** How much is run: a smoke test, what is worth 15 minutes, everything. */
export const MODES = ['quick', 'default', 'full'] as const
export type Mode = (typeof MODES)[number]

/** What is read off a measurement. */
export interface Figure {
  name: string
  unit: 'per second' | 'us' | 'ms' | 'MB' | '%' | 'kB'
  higherIsBetter: boolean
  /** Undefined where this contestant has none. */
  of(measurement: Measurement): number | undefined
}

export interface Contestant {
  name: string
  /** In which of the modes it takes part. @default 'default' */
  from?: Mode
  /** The server that it needs. */
  needs?: Broker
  /** Why it is not there, although the mode would have it. */
  cannot?: string | undefined
}

export interface Comparison {
  /** Unique, as `oneway-100B`. */
  id: string
  title: string
  /** How the figures were taken, for those who read the results. */
  how: string
  from: Mode
  contestants: Contestant[]
  /**
   * Whether a turn takes its time whoever does it, and warms up by itself: then there is no round that is not counted.
   */
  paced?: boolean
  /** Whom the ratios are to. */
  against: string
  /** The first is drawn. */
  figures: Figure[]
  /** Runs one contestant; `known` is how often it can do it within the time that a run should take. */
  run(name: string, known: number | undefined): Promise<Measurement>
}

/**
 * What Hubwire has to reach: a ratio to another contestant, at least so much where higher is better, else at most; or so
 * much at most on any machine of two cores.
 */
export type Target = { comparison: string; figure: Figure; of?: string } & (
  | { against: string; ratio: number }
  | { most: number }
)

/** How many turns each contestant takes: the rounds, and one to warm up. */
export function turnsOf({ paced = false }: Comparison, rounds: number): number {
  return rounds === 0 || !paced ? rounds + 1 : rounds
}

/** A part of the bench, which may be run by itself. */
export interface Part {
  name: string
  title: string
  comparisons: Comparison[]
  targets: Target[]
}

/** How often it was done in a second, each time counting as so many. */
export function rate(name: string, times = 1): Figure {
  return {
    name,
    unit: 'per second',
    higherIsBetter: true,
    of: ({ count, elapsed }) => (count * times * 1000) / elapsed,
  }
}

/** Microseconds of CPU for each time, of all processes of one name together. */
export function cpu(who: string): Figure {
  return {
    name: `CPU of ${who}`,
    unit: 'us',
    higherIsBetter: false,
    of: ({ usage, count }) => divided(usage.find(({ name }) => name === who)?.cpu, count),
  }
}

/** The same of the primary, all workers and the server. */
function cpuOfAll(): Figure {
  const all = ['primary', 'workers', 'server']
  return {
    name: 'CPU of all',
    unit: 'us',
    higherIsBetter: false,
    of: ({ usage, count }) => usage.reduce((sum, { name, cpu }) => sum + (all.includes(name) ? cpu : 0), 0) / count,
  }
}

/** CPU as a share of one core. */
export function load(who: string, name = `load of ${who}`): Figure {
  return {
    name,
    unit: '%',
    higherIsBetter: false,
    of: ({ usage, elapsed }) => divided(usage.find(({ name }) => name === who)?.cpu, elapsed * 10),
  }
}

/** Resident memory of all processes of these names, at their peak. */
export function memory(name: string, who: readonly string[]): Figure {
  return {
    name,
    unit: 'MB',
    higherIsBetter: false,
    of({ usage }) {
      const some = usage.filter((one) => who.includes(one.name))
      return some.length > 0 ? some.reduce((sum, { memory }) => sum + memory, 0) / 1e6 : undefined
    },
  }
}

export function latency(which: 'p50' | 'p99', name = `latency ${which}`, unit: 'us' | 'ms' = 'us'): Figure {
  return {
    name,
    unit,
    higherIsBetter: false,
    of: ({ latency }) => latency && divided(latency[which], unit === 'ms' ? 1000 : 1),
  }
}

/** What a bench measures beside all that. */
export function more(name: string, unit: Figure['unit'], higherIsBetter = false): Figure {
  return { name, unit, higherIsBetter, of: ({ more }) => more?.[name] }
}

export const PRIMARY_CPU = cpu('primary')
export const WORKERS_CPU = cpu('workers')
export const SERVER_CPU = cpu('server')
export const OWN_MEMORY = memory('memory', ['primary', 'workers'])
export const SERVER_MEMORY = memory("server's memory", ['server'])
/** Of every process for itself, and of all together: where all cores are busy, that is what bounds the throughput. */
export const COSTS = [PRIMARY_CPU, cpu('sender'), cpu('receivers'), SERVER_CPU, cpuOfAll(), OWN_MEMORY, SERVER_MEMORY]

function divided(value: number | undefined, by: number): number | undefined {
  return value === undefined ? undefined : value / by
}
