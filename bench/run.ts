/** Runs comparisons one after the other, and tells how far it is. */
import { alternate } from './alternate.js'
import { type Broker, find } from './brokers.js'
import { amount } from './chart.js'
import { type Comparison, type Contestant, MODES, type Mode, type Part, turnsOf } from './comparison.js'
import type { Measurement } from './measurement.js'
import type { BenchOptions } from './options.js'
import { type Absent, type ComparisonResult, rowsOf } from './results.js'

/** What takes part of a comparison, and what does not. */
interface Field {
  comparison: Comparison
  present: string[]
  skipped: Absent[]
}

/** The servers that contestants need: their versions, or why they are not there. */
export type Brokers = Map<Broker, { version: string } | { why: string }>

export async function findBrokers(parts: readonly Part[]): Promise<Brokers> {
  const needed = new Set(
    parts.flatMap(({ comparisons }) =>
      comparisons.flatMap(({ contestants }) => contestants.flatMap(({ needs }) => (needs ? [needs] : []))),
    ),
  )
  return new Map(await Promise.all([...needed].map(async (broker) => [broker, await find(broker)] as const)))
}

/** Who of a comparison takes part. */
export function fieldOf(comparison: Comparison, brokers: Brokers, options: BenchOptions): Field {
  const wanted = comparison.contestants.filter(
    ({ name, from = 'default' }) => includes(options.mode, from) && (options.contestants?.includes(name) ?? true),
  )
  const skipped = wanted.flatMap((contestant) => {
    const why = whyAbsent(contestant, brokers)
    return why === undefined ? [] : [{ contestant: contestant.name, why }]
  })
  const absent = new Set(skipped.map(({ contestant }) => contestant))
  return { comparison, present: wanted.map(({ name }) => name).filter((name) => !absent.has(name)), skipped }
}

/** The comparisons that this mode runs. */
export function chosen(part: Part, { mode, only }: BenchOptions): Comparison[] {
  return part.comparisons.filter(({ id, from }) => includes(mode, from) && only.test(id))
}

/** Tells how much is done and how much is left, as lines on stdout. */
export class Progress {
  readonly #total: number
  readonly #start = performance.now()
  #done = 0

  /** So many turns are to be taken. */
  constructor(total: number) {
    this.#total = total
  }

  tell(text: string, turns = 1): void {
    this.#done += turns
    const elapsed = (performance.now() - this.#start) / 1000
    const left = (elapsed / this.#done) * (this.#total - this.#done)
    const share = `${Math.floor((this.#done / this.#total) * 100)}`.padStart(3)
    console.log(`${share} %  ${clock(elapsed)}, about ${clock(left)} left   ${text}`)
  }

  /** What was to be done, and will not be. */
  skip(turns: number): void {
    this.#done += turns
  }
}

export async function runComparison(
  { comparison, present, skipped }: Field,
  { rounds, run }: BenchOptions,
  progress: Progress,
): Promise<ComparisonResult> {
  const { id, title, how, against, figures } = comparison
  const { measured, failed } = await alternate(
    present,
    { rounds, turns: turnsOf(comparison, rounds) },
    run,
    comparison.run,
    (round, name, outcome) => {
      const label = `${title}, ${rounds === 0 ? 'once' : round === 0 ? 'warm-up' : `round ${round} of ${rounds}`}, ${name}`
      if (outcome instanceof Error) progress.skip(rounds - round)
      progress.tell(
        `${label}: ${outcome instanceof Error ? `FAILED: ${outcome.message}` : summary(comparison, outcome)}`,
      )
    },
  )
  return {
    id,
    title,
    how,
    against,
    figures: figures.map(({ name, unit, higherIsBetter }) => ({ name, unit, higherIsBetter })),
    rows: rowsOf(comparison, measured),
    skipped,
    failed: [...failed].map(([contestant, why]) => ({ contestant, why })),
  }
}

function summary({ figures }: Comparison, measurement: Measurement): string {
  return figures
    .flatMap(({ name, unit, of }) => {
      const value = of(measurement)
      return value === undefined || Number.isNaN(value) ? [] : [`${name} ${amount(value)} ${unit}`]
    })
    .slice(0, 3)
    .join(', ')
}

function whyAbsent({ needs, cannot }: Contestant, brokers: Brokers): string | undefined {
  if (cannot !== undefined) return cannot
  const broker = needs && brokers.get(needs)
  return broker && 'why' in broker ? broker.why : undefined
}

function includes(mode: Mode, from: Mode): boolean {
  return MODES.indexOf(from) <= MODES.indexOf(mode)
}

function clock(seconds: number): string {
  const whole = Math.round(seconds)
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`
}
