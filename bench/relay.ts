/**
 * Messages from one worker to others: Hubwire against the naive relay, the bare sketch, Redis and NATS.
 *
 * ```
 * npm run bench:relay -- [--rounds 5] [--only oneway,inflight,lone,fanout] [--contestants naive,bare,hubwire,redis,nats]
 *   [--check]
 * ```
 *
 * Redis and NATS take part where they answer, at REDIS_URL and NATS_URL or their usual ports on this machine. The CPU of
 * their servers is not counted. `--check` makes a missed target an exit code of 1.
 */
import { availableParallelism } from 'node:os'
import { alternate, runContestant, type Summary, summarize } from './alternate.js'
import { whyNoNats, whyNoRedis } from './brokers.js'
import { readOptions } from './options.js'
import { deliveries, type Measurement, WORKLOADS, type Workload } from './workloads.js'

const CONTESTANTS = ['naive', 'bare', 'hubwire', 'redis', 'nats'] as const
type Contestant = (typeof CONTESTANTS)[number]

/** How long a measured run should take, in milliseconds: long against the start, short against the patience. */
const RUN = 2000

/** How much the warm-up round does, before anything is known of this machine: naively, and in batches. */
const WARM_UP: Record<Workload, { naive: number; batches: number }> = {
  oneway: { naive: 100_000, batches: 500_000 },
  inflight: { naive: 60_000, batches: 120_000 },
  lone: { naive: 15_000, batches: 15_000 },
  fanout: { naive: 20_000, batches: 150_000 },
}

const TITLES: Record<Workload, string> = {
  oneway: 'one way',
  inflight: 'requests, 64 in flight',
  lone: 'requests, one at a time',
  fanout: 'one event to 8 workers',
}

/** What is read off a measurement. */
interface Figure {
  name: string
  unit: string
  higherIsBetter: boolean
  of(measurement: Measurement, count: number, workload: Workload): number
}

const RATE: Figure = {
  name: 'throughput',
  unit: '/s',
  higherIsBetter: true,
  of: ({ elapsed }, count, workload) => (count * deliveries(workload) * 1000) / elapsed,
}
const CPU: Figure = {
  name: 'primary CPU',
  unit: 'us',
  higherIsBetter: false,
  of: ({ cpu }, count) => cpu / count,
}
const P50: Figure = {
  name: 'round trip p50',
  unit: 'us',
  higherIsBetter: false,
  of: ({ p50 }) => p50 ?? Number.NaN,
}

const FIGURES: Record<Workload, Figure[]> = {
  oneway: [RATE, CPU],
  inflight: [RATE, CPU],
  lone: [P50],
  fanout: [RATE, CPU],
}

/** What Hubwire has to reach, as a ratio to another contestant: at least so much where higher is better, else at most. */
interface Target {
  workload: Workload
  figure: Figure
  against: Contestant
  ratio: number
}

/** Never less than this share of what the bare sketch does. */
const SHARE_OF_BARE = 0.75

const TARGETS: Target[] = [
  { workload: 'oneway', figure: RATE, against: 'naive', ratio: 5 },
  { workload: 'oneway', figure: CPU, against: 'naive', ratio: 0.13 },
  { workload: 'inflight', figure: RATE, against: 'naive', ratio: 1.4 },
  { workload: 'lone', figure: P50, against: 'naive', ratio: 1.3 },
  { workload: 'fanout', figure: RATE, against: 'naive', ratio: 10 },
  { workload: 'oneway', figure: RATE, against: 'bare', ratio: SHARE_OF_BARE },
  { workload: 'oneway', figure: CPU, against: 'bare', ratio: 1 / SHARE_OF_BARE },
  { workload: 'inflight', figure: RATE, against: 'bare', ratio: SHARE_OF_BARE },
  { workload: 'lone', figure: P50, against: 'bare', ratio: 1 / SHARE_OF_BARE },
  { workload: 'fanout', figure: RATE, against: 'bare', ratio: SHARE_OF_BARE },
]

/** Those whose messages go through the primary, in batches. */
function isBatching(contestant: Contestant): boolean {
  return contestant === 'bare' || contestant === 'hubwire'
}

/** A server's CPU is not the primary's. */
function isFigureOf(figure: Figure, contestant: Contestant): boolean {
  return figure !== CPU || (contestant !== 'redis' && contestant !== 'nats')
}

type Summaries = Map<Contestant, Map<Figure, Summary>>

// An `exit` is what ends the processes of a run.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

const options = readOptions(WORKLOADS, CONTESTANTS)
console.log(`Node.js ${process.version}, ${availableParallelism()} cores, ${options.rounds} rounds and one to warm up`)
for (const [contestant, whyNot] of Object.entries({ redis: whyNoRedis, nats: whyNoNats })) {
  const at = options.contestants.indexOf(contestant as Contestant)
  const reason = at < 0 ? undefined : await whyNot()
  if (reason === undefined) continue
  console.log(`skipped: ${contestant} (${reason})`)
  options.contestants.splice(at, 1)
}
console.log()

const measured = new Map<Workload, Summaries>()
for (const workload of options.workloads) measured.set(workload, await measure(workload))
for (const [workload, summaries] of measured) printTable(workload, summaries)
const missed = printTargets()
if (options.check && missed > 0) process.exitCode = 1

async function measure(workload: Workload): Promise<Summaries> {
  const results = await alternate(
    options.contestants,
    options.rounds,
    RUN,
    async (contestant, known) => {
      const count = known ?? WARM_UP[workload][isBatching(contestant) ? 'batches' : 'naive']
      const file = new URL(`./relay-contestants/${contestant}.js`, import.meta.url)
      return { count, measurement: await runContestant(file, { workload, count }) }
    },
    (round, contestant, count, measurement) => {
      const figures = FIGURES[workload].map((figure) => show(figure, figure.of(measurement, count, workload)))
      const seconds = (measurement.elapsed / 1000).toFixed(1)
      const label = round === 0 ? 'warm-up' : `round ${round}`
      console.log(`${TITLES[workload]}, ${label}, ${contestant}: ${figures.join(', ')} (${count} in ${seconds} s)`)
    },
  )
  console.log()
  const summaries: Summaries = new Map()
  for (const [contestant, runs] of results) {
    const figures = FIGURES[workload].map((figure): [Figure, Summary] => [
      figure,
      summarize(runs.map(({ count, measurement }) => figure.of(measurement, count, workload))),
    ])
    summaries.set(contestant, new Map(figures))
  }
  return summaries
}

function printTable(workload: Workload, summaries: Summaries): void {
  for (const figure of FIGURES[workload]) {
    const per = figure === CPU ? (workload === 'fanout' ? ' per event' : ' per message') : ''
    const rows = [['', 'median', 'from', 'to', 'x naive', 'x bare']]
    for (const [contestant, figures] of summaries) {
      const summary = figures.get(figure)
      if (!summary || !isFigureOf(figure, contestant)) continue
      const ratios = (['naive', 'bare'] as const).map((other) => {
        const ratio = ratioOf(summaries, figure, contestant, other)
        return ratio === undefined || contestant === other ? '' : ratio.toFixed(figure.higherIsBetter ? 2 : 3)
      })
      rows.push([
        contestant,
        show(figure, summary.median),
        show(figure, summary.min),
        show(figure, summary.max),
        ...ratios,
      ])
    }
    console.log(`${TITLES[workload]}: ${figure.name}${per}`)
    print(rows)
  }
}

/** Prints which targets were reached, and counts those that were not. */
function printTargets(): number {
  const rows = [['', 'target', 'reached', '']]
  let missed = 0
  for (const { workload, figure, against, ratio } of TARGETS) {
    const summaries = measured.get(workload)
    const reached = summaries && ratioOf(summaries, figure, 'hubwire', against)
    if (reached === undefined) continue
    const ok = figure.higherIsBetter ? reached >= ratio : reached <= ratio
    if (!ok) missed++
    rows.push([
      `${TITLES[workload]}, ${figure.name}`,
      `${figure.higherIsBetter ? 'at least' : 'at most'} ${Number(ratio.toFixed(2))} x ${against}`,
      reached.toFixed(3),
      ok ? 'ok' : 'MISSED',
    ])
  }
  if (rows.length > 1) {
    console.log('targets')
    print(rows)
  }
  return missed
}

function ratioOf(summaries: Summaries, figure: Figure, of: Contestant, to: Contestant): number | undefined {
  const above = summaries.get(of)?.get(figure)
  const below = summaries.get(to)?.get(figure)
  return above && below && above.median / below.median
}

function show(figure: Figure, value: number): string {
  const digits = figure.unit === 'us' ? (value < 10 ? 2 : 1) : 0
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits }) + figure.unit
}

function print(rows: string[][]): void {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
    )
    console.log(`  ${cells.join('   ').trimEnd()}`)
  }
  console.log()
}
