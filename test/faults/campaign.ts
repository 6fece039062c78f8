import cluster from 'node:cluster'
import { alive } from '../conditions.js'
import { belongings, census, isOpen, more } from './leftovers.js'
import { playRound, type RoundOutcome } from './round.js'
import { World } from './world.js'

/** What the primary may grow by from one quiet moment to a later one, in bytes … */
const MAX_GROWTH = 12 << 20
/** … and in the mean of many rounds, for each. What is small and the same each time would be more after a night. */
const MAX_SLOPE = 256 << 10
/** So many are needed to tell a slope. */
const ROUNDS_FOR_SLOPE = 6
/** An outcome of many wrongs is told by the first ones. */
const MAX_TOLD = 20

export interface Options {
  seed: number
  rounds: number
  /** No round begins later than that, in milliseconds: on a busy machine each takes longer. */
  latest?: number
  /** How long the nemesis is at work in each, in milliseconds. */
  rage: number
  tell?: (line: string) => void
}

export interface Outcome {
  violations: string[]
  /** Of the round in which something was wrong. */
  failingSeed: number | undefined
  counts: Record<string, number>
  heaps: number[]
  folder: string
}

/** Rounds of harm on one hub; then its end, after which nothing may be left. Each round has a seed of its own. */
export async function campaign(options: Options): Promise<Outcome> {
  // Node's own listeners, which stay from the first fork of any cluster on.
  cluster.setupPrimary()
  const before = await belongings()
  const outcome: Outcome = { violations: [], failingSeed: undefined, counts: {}, heaps: [], folder: '' }
  const { port, pids } = await play(options, outcome)
  outcome.violations.push(...growth(outcome.heaps))
  for (const pid of pids) if (alive(pid)) outcome.violations.push(`left: process ${pid}`)
  if (await isOpen(port)) outcome.violations.push('left: the port is open')
  // What Node has yet to close is closed a moment later.
  let left = more(before, await belongings())
  for (let i = 0; left.length > 0 && i < 40; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    left = more(before, await belongings())
  }
  outcome.violations.push(...left)
  for (const [name, count] of Object.entries(await census())) {
    if (count > 0) outcome.violations.push(`left: ${count} of ${name} when the hub is closed`)
  }
  return outcome
}

/** Apart, so that nothing of the world is on the stack when its leftovers are counted. */
async function play({ seed, rounds, rage, latest, tell = () => {} }: Options, outcome: Outcome) {
  const start = performance.now()
  const world = await World.open(seed)
  outcome.folder = world.folder
  try {
    for (let i = 0; i < rounds; i++) {
      const begun = performance.now()
      if (i > 0 && begun - start > (latest ?? Number.POSITIVE_INFINITY)) break
      const round = await playRound(world, seed + i, rage, i + 1).catch(broken)
      add(outcome, round)
      const seconds = ((performance.now() - begun) / 1000).toFixed(0)
      tell(`round ${i + 1}, seed ${seed + i}: ${round.faults.length} faults in ${seconds} s, ${summary(round)}`)
      if (round.violations.length > 0) {
        outcome.failingSeed = seed + i
        for (const line of round.violations.slice(0, MAX_TOLD)) tell(`  ${line}`)
        tell(`  the nemesis: ${round.faults.join('; ')}`)
        break
      }
    }
  } finally {
    await world.close()
    if (outcome.violations.length === 0) world.removeHistories()
  }
  const pids = [...world.processes.keys()]
    .map((name) => Number(name.split(':')[1]))
    .filter((pid) => pid !== process.pid)
  return { port: world.port, pids }
}

/** The round did not come to its end. */
function broken(error: Error): RoundOutcome {
  return { violations: [`broken off: ${error.message}`], counts: {}, heap: 0, faults: [] }
}

function add(outcome: Outcome, round: RoundOutcome): void {
  outcome.violations.push(...round.violations)
  outcome.heaps.push(round.heap)
  for (const [name, count] of Object.entries(round.counts)) outcome.counts[name] = (outcome.counts[name] ?? 0) + count
}

function summary({ heap, counts }: RoundOutcome): string {
  const numbers = Object.entries(counts).map(([name, count]) => `${count} ${name}`)
  return `${numbers.join(', ')}; heap ${(heap / 2 ** 20).toFixed(1)} MiB`
}

function growth(heaps: readonly number[]): string[] {
  const violations: string[] = []
  const grown = (heaps.at(-1) ?? 0) - (heaps[0] ?? 0)
  if (grown > MAX_GROWTH) violations.push(`memory: the primary has grown by ${grown} bytes: ${heaps.join(', ')}`)
  const slope = slopeOf(heaps.slice(1))
  if (heaps.length > ROUNDS_FOR_SLOPE && slope > MAX_SLOPE) {
    violations.push(`memory: the primary grows by ${slope.toFixed(0)} bytes a round: ${heaps.join(', ')}`)
  }
  return violations
}

/** Of the straight line that fits best. */
export function slopeOf(values: readonly number[]): number {
  const middle = (values.length - 1) / 2
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  let above = 0
  let below = 0
  values.forEach((value, x) => {
    above += (x - middle) * (value - mean)
    below += (x - middle) ** 2
  })
  return below === 0 ? 0 : above / below
}
