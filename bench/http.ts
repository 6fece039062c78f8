/**
 * HTTP requests to 2 workers over 50 connections: Hubwire, without and with Socket.IO on its workers (`attached`), against
 * plain cluster and `@socket.io/sticky`.
 *
 * ```
 * npm run bench:http -- [--rounds 5] [--only get,post,close] [--contestants plain,sticky,hubwire,attached] [--check]
 * ```
 *
 * `--check` makes a missed target an exit code of 1.
 */
import { availableParallelism } from 'node:os'
import { alternate, runContestant, type Summary, summarize } from './alternate.js'
import { CONNECTIONS, SECONDS, WORKERS, WORKLOADS, type Workload } from './http-workloads.js'
import { readOptions } from './options.js'

const CONTESTANTS = ['plain', 'sticky', 'hubwire', 'attached'] as const
type Contestant = (typeof CONTESTANTS)[number]

/** Runs end after a time; the figures are given for so many requests. */
const REQUESTS = 10_000

const TITLES: Record<Workload, string> = { get: 'GET', post: 'POST of 10 kB', close: 'GET, Connection: close' }

/** At least so many times what the other does. */
const TARGETS: { workload: Workload; against: Contestant; ratio: number }[] = [
  { workload: 'get', against: 'plain', ratio: 0.95 },
  { workload: 'get', against: 'sticky', ratio: 8 },
  { workload: 'post', against: 'plain', ratio: 0.95 },
  { workload: 'close', against: 'plain', ratio: 0.8 },
]

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

const options = readOptions(WORKLOADS, CONTESTANTS)
console.log(
  `Node.js ${process.version}, ${availableParallelism()} cores, ${WORKERS} workers, ${CONNECTIONS} connections, ` +
    `${options.rounds} rounds and one to warm up\n`,
)
const rates = new Map<Workload, Map<Contestant, Summary>>()
for (const workload of options.workloads) rates.set(workload, await measure(workload))
for (const [workload, summaries] of rates) printTable(workload, summaries)
const missed = printTargets()
if (options.check && missed > 0) process.exitCode = 1

async function measure(workload: Workload): Promise<Map<Contestant, Summary>> {
  const results = await alternate(
    options.contestants,
    options.rounds,
    SECONDS * 1000,
    async (contestant) => {
      const file = new URL(`./http-contestants/${contestant}.js`, import.meta.url)
      const measurement = await runContestant(file, { workload, count: REQUESTS })
      return { count: REQUESTS, measurement }
    },
    (round, contestant, count, { elapsed, cpu, p50 = Number.NaN }) => {
      const label = round === 0 ? 'warm-up' : `round ${round}`
      const figures = `${number((count * 1000) / elapsed)}/s, p50 ${(p50 / 1000).toFixed(2)} ms, primary CPU ${number(cpu / count)} us`
      console.log(`${TITLES[workload]}, ${label}, ${contestant}: ${figures}`)
    },
  )
  console.log()
  return new Map(
    [...results].map(([name, runs]) => [
      name,
      summarize(runs.map(({ count, measurement }) => (count * 1000) / measurement.elapsed)),
    ]),
  )
}

function printTable(workload: Workload, summaries: Map<Contestant, Summary>): void {
  console.log(`${TITLES[workload]}: requests/s, the median (from - to)`)
  const plain = summaries.get('plain')?.median
  for (const [name, { median, min, max }] of summaries) {
    const ratio = plain ? `${(median / plain).toFixed(2)} x plain` : ''
    console.log(`  ${name.padEnd(8)} ${number(median).padStart(7)}   (${number(min)} - ${number(max)})   ${ratio}`)
  }
  console.log()
}

/** Prints which targets were reached, and counts those that were not. */
function printTargets(): number {
  let missed = 0
  for (const { workload, against, ratio } of TARGETS) {
    const own = rates.get(workload)?.get('hubwire')?.median
    const other = rates.get(workload)?.get(against)?.median
    if (own === undefined || other === undefined) continue
    const ok = own / other >= ratio
    if (!ok) missed++
    console.log(
      `${TITLES[workload]}: at least ${ratio} x ${against}: ${(own / other).toFixed(2)} ${ok ? 'ok' : 'MISSED'}`,
    )
  }
  return missed
}

function number(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 1 : 0 })
}
