/**
 * Hubwire against what one would take instead.
 *
 * ```
 * npm run bench [-- --quick] [--full] [--rounds 5] [--only regexp] [--contestants naive,hubwire] [--out folder] [--check]
 * npm run bench:relay, and so on for each part
 * ```
 *
 * A whole run writes `bench/RESULTS.md`, `bench/results.json` and `bench/charts`; parts, and `--quick`, write to
 * `build/bench-results`. `--full --quick` tries every combination once, for a moment. Contestants whose server is not there are skipped, and those that fail do not keep the others;
 * then the exit code is 1. `--check` makes a missed target one, too.
 */
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { turnsOf } from './comparison.js'
import { readOptions } from './options.js'
import { PARTS } from './parts/index.js'
import { write } from './report.js'
import { machine, packageVersions, type Results, targetsOf } from './results.js'
import { chosen, fieldOf, findBrokers, Progress, runComparison } from './run.js'

const PACKAGES = [
  ...[
    '@socket.io/cluster-adapter',
    '@socket.io/redis-adapter',
    '@socket.io/redis-streams-adapter',
    '@socket.io/sticky',
  ],
  ...['amqplib', 'autocannon', 'axon', 'bullmq', 'faye', 'ioredis', 'nats', 'node-ipc', 'pg', 'piscina', 'redis'],
  'socket.io',
]

// An `exit` is what ends the processes of a run.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

const top = fileURLToPath(new URL('../../', import.meta.url))
const options = readOptions(PARTS.map(({ name }) => name))
const { rounds, run } = options
const start = performance.now()
const parts = PARTS.filter(({ name }) => options.parts.includes(name))
const brokers = await findBrokers(parts)
const fields = parts.map((part) => chosen(part, options).map((comparison) => fieldOf(comparison, brokers, options)))
const turns = fields
  .flat()
  .reduce((sum, { present, comparison }) => sum + present.length * turnsOf(comparison, rounds), 0)
const servers = [...brokers].flatMap(([name, found]) => ('version' in found ? [[`${name} server`, found.version]] : []))
const results: Results = {
  date: new Date().toISOString(),
  command: commandLine(),
  rounds,
  run,
  seconds: 0,
  machine: machine(),
  versions: { 'Node.js': process.version, ...Object.fromEntries(servers), ...packageVersions(PACKAGES) },
  parts: [],
}
console.log(`${turns} turns${rounds === 0 ? '' : `, in ${rounds} rounds`}`)
for (const [broker, found] of brokers) if ('why' in found) console.log(`skipped: ${broker}, because ${found.why}`)

const progress = new Progress(turns)
for (const [index, part] of parts.entries()) {
  const begun = performance.now()
  const comparisons = []
  for (const field of fields[index] ?? []) comparisons.push(await runComparison(field, options, progress))
  if (comparisons.length === 0) continue
  const { name, title } = part
  const seconds = Math.round((performance.now() - begun) / 1000)
  results.parts.push({ name, title, seconds, comparisons, targets: targetsOf(part, comparisons) })
}
results.seconds = Math.round((performance.now() - start) / 1000)
const folder = path.resolve(top, options.out ?? 'bench')
write(folder, results)

const failed = results.parts.flatMap(({ comparisons }) =>
  comparisons.flatMap(({ id, failed }) => failed.map(({ contestant, why }) => `${contestant}, ${id}: ${why}`)),
)
const missed = results.parts.flatMap(({ targets }) => targets).filter(({ ok }) => !ok)
for (const { what, target, reached } of missed) console.log(`missed: ${what}, ${target}: ${reached}`)
for (const failure of failed) console.log(`FAILED: ${failure}`)
console.log(`${path.relative(process.cwd(), path.join(folder, 'RESULTS.md'))}: ${results.seconds} s`)
for (const { name, seconds } of results.parts) console.log(`${name}: ${seconds} s`)
if (failed.length > 0 || (options.check && missed.length > 0)) process.exitCode = 1

/** As one types it, but for where the results go. */
function commandLine(): string {
  const args = process.argv.slice(2)
  const at = args.indexOf('--out')
  if (at >= 0) args.splice(at, 2)
  return args.length === 0 ? 'npm run bench' : `npm run bench -- ${args.join(' ')}`
}
