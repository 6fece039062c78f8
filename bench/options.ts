import { parseArgs } from 'node:util'

/** What every bench is told on its command line. */
export interface BenchOptions<Workload extends string, Contestant extends string> {
  /** Measured rounds; one to warm up comes before them. */
  rounds: number
  workloads: Workload[]
  contestants: Contestant[]
  /** Makes a missed target an exit code of 1. */
  check: boolean
}

/** Reads `[--rounds 5] [--only …] [--contestants …] [--check]`, and refuses names that the bench does not know. */
export function readOptions<Workload extends string, Contestant extends string>(
  workloads: readonly Workload[],
  contestants: readonly Contestant[],
): BenchOptions<Workload, Contestant> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      only: { type: 'string', default: workloads.join() },
      contestants: { type: 'string', default: contestants.join() },
      check: { type: 'boolean', default: false },
    },
  })
  const rounds = Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new Error(`--rounds takes a whole number from 1 on, not ${values.rounds}`)
  }
  return {
    rounds,
    workloads: chosen('--only', values.only, workloads),
    contestants: chosen('--contestants', values.contestants, contestants),
    check: values.check,
  }
}

function chosen<Name extends string>(option: string, list: string, names: readonly Name[]): Name[] {
  const wanted = list.split(',')
  const unknown = wanted.find((name) => !names.some((known) => known === name))
  if (unknown !== undefined) throw new Error(`${option} takes ${names.join(', ')}, separated by commas, not ${unknown}`)
  return names.filter((name) => wanted.includes(name))
}
