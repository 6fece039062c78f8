import { parseArgs } from 'node:util'
import type { Mode } from './comparison.js'

/** What the bench is told on its command line. */
export interface BenchOptions {
  /** The parts to run. */
  parts: string[]
  mode: Mode
  /** Measured rounds; one to warm up comes before them. None: that one is all there is, as in a smoke test. */
  rounds: number
  /** How long a measured run should take, in milliseconds. */
  run: number
  /** Those comparisons alone whose ids it matches. */
  only: RegExp
  /** Those contestants alone. */
  contestants: string[] | undefined
  /** Where the results go; undefined for `bench/` itself. */
  out: string | undefined
  /** Makes a missed target an exit code of 1. */
  check: boolean
}

/**
 * Of each mode, the rounds and the time of a run in milliseconds: long against what is counted, short against the
 * patience, which for all that `--full` has is an hour or two.
 */
const DEFAULTS: Record<Mode, { rounds: number; run: number }> = {
  quick: { rounds: 0, run: 150 },
  default: { rounds: 5, run: 300 },
  full: { rounds: 5, run: 500 },
}

/** Reads the command line, and refuses what the bench does not know. `--full --quick` is a smoke test of everything. */
export function readOptions(parts: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      full: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      only: { type: 'string', default: '' },
      contestants: { type: 'string' },
      out: { type: 'string' },
      check: { type: 'boolean', default: false },
    },
  })
  const unknown = positionals.find((name) => !parts.includes(name))
  if (unknown !== undefined) throw new Error(`there is no part "${unknown}", but ${parts.join(', ')}`)
  const mode = values.full ? 'full' : values.quick ? 'quick' : 'default'
  const defaults = DEFAULTS[values.quick ? 'quick' : mode]
  const rounds = Number(values.rounds ?? defaults.rounds)
  if (!Number.isInteger(rounds) || rounds < 0) {
    throw new Error(`--rounds takes a whole number, not ${values.rounds}`)
  }
  const whole = positionals.length === 0 && !values.quick && values.only === '' && values.contestants === undefined
  return {
    parts: positionals.length > 0 ? positionals : [...parts],
    mode,
    rounds,
    run: defaults.run,
    only: new RegExp(values.only),
    contestants: values.contestants?.split(','),
    // What stands in the repository is of one run: parts and smoke tests go elsewhere.
    out: values.out ?? (whole ? undefined : 'build/bench-results'),
    check: values.check,
  }
}
