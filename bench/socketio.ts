/**
 * Socket.IO over several workers: Hubwire's adapter against the official ones.
 *
 * ```
 * npm run bench:socketio -- [--rounds 5] [--only rooms-2,rooms-8,broadcast]
 *   [--contestants cluster,redis,hubwire] [--check]
 * ```
 *
 * The Redis adapter takes part where Redis answers at REDIS_URL. `--check` makes a missed target an exit code of 1.
 */
import { availableParallelism } from 'node:os'
import { alternate, runContestant, type Summary, summarize } from './alternate.js'
import { whyNoRedis } from './brokers.js'
import { readOptions } from './options.js'
import {
  CLIENTS,
  deliveriesOf,
  roundUp,
  SOCKETIO_WORKLOADS,
  type SocketIoWorkload,
} from './socketio-contestants/contestant.js'

const CONTESTANTS = ['cluster', 'redis', 'hubwire'] as const
type Contestant = (typeof CONTESTANTS)[number]

/** How long a measured run should take, in milliseconds. */
const RUN = 2000
const WARM_UP: Record<SocketIoWorkload, number> = { 'rooms-2': 10_000, 'rooms-8': 5_000, broadcast: 50 }
const TITLES: Record<SocketIoWorkload, string> = {
  'rooms-2': 'messages to a room on one worker, 2 workers',
  'rooms-8': 'messages to a room on one worker, 8 workers',
  broadcast: `broadcast to ${CLIENTS} clients, 2 workers`,
}

// An `exit` is what ends the processes of a run.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

const options = readOptions(SOCKETIO_WORKLOADS, CONTESTANTS)
const noRedis = await whyNoRedis()
const contestants = options.contestants.filter((name) => name !== 'redis' || noRedis === undefined)
console.log(`Node.js ${process.version}, ${availableParallelism()} cores, ${options.rounds} rounds and one to warm up`)
if (contestants.length < options.contestants.length) console.log(`skipped: the Redis adapter (${noRedis})`)
console.log()

const measured = new Map<SocketIoWorkload, Map<Contestant, Summary>>()
for (const workload of options.workloads) measured.set(workload, await measure(workload))

for (const [workload, summaries] of measured) {
  console.log(`${TITLES[workload]}: deliveries/s`)
  for (const [contestant, { median, min, max }] of summaries) {
    console.log(`  ${contestant.padEnd(8)} ${show(median).padStart(9)}   from ${show(min)} to ${show(max)}`)
  }
}

let missed = 0
console.log('\ntargets')
compare('rooms-8', 'hubwire', 'rooms-8', 'cluster', 4)
compare('rooms-8', 'hubwire', 'rooms-2', 'hubwire', 0.7)
compare('broadcast', 'hubwire', 'broadcast', 'cluster', 1)
compare('broadcast', 'hubwire', 'broadcast', 'redis', 1)
if (options.check && missed > 0) process.exitCode = 1

async function measure(workload: SocketIoWorkload): Promise<Map<Contestant, Summary>> {
  const rate = (count: number, elapsed: number) => (deliveriesOf(workload, count) * 1000) / elapsed
  const results = await alternate(
    contestants,
    options.rounds,
    RUN,
    async (contestant, known) => {
      const count = roundUp(workload, known ?? WARM_UP[workload])
      const file = new URL(`./socketio-contestants/${contestant}.js`, import.meta.url)
      return { count, measurement: await runContestant(file, { workload, count }) }
    },
    (round, contestant, count, { elapsed }) => {
      const label = round === 0 ? 'warm-up' : `round ${round}`
      console.log(`${workload}, ${label}, ${contestant}: ${show(rate(count, elapsed))}/s`)
    },
  )
  console.log()
  return new Map(
    [...results].map(([contestant, runs]) => [
      contestant,
      summarize(runs.map(({ count, measurement }) => rate(count, measurement.elapsed))),
    ]),
  )
}

function compare(one: SocketIoWorkload, of: Contestant, other: SocketIoWorkload, to: Contestant, ratio: number): void {
  const above = measured.get(one)?.get(of)
  const below = measured.get(other)?.get(to)
  if (!above || !below) return
  const reached = above.median / below.median
  if (reached < ratio) missed++
  const verdict = reached < ratio ? 'MISSED' : 'ok'
  console.log(`  ${of}, ${one}: at least ${ratio} x ${to}, ${other}: ${reached.toFixed(2)} ${verdict}`)
}

function show(value: number): string {
  return Math.round(value).toLocaleString('en')
}
