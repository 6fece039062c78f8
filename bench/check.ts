/**
 * Whether Hubwire has lost ground: `npm run bench:check [-- --only regexp] [-- --update]`. Compares its ratios to others,
 * which took turns with it, with those of `baseline.json`, and fails when one fell by more than a quarter, or is not there
 * any more. `--update` writes what it finds to `baseline.json`; nothing, when something failed. It wants a machine that does
 * nothing else; `bench:check:wire` is the same for what can be counted, on any machine.
 */
import { parseArgs } from 'node:util'
import { hasFallen, readBaseline, writeBaseline } from './baseline.js'
import type { Comparison } from './comparison.js'
import type { BenchOptions } from './options.js'
import { PARTS } from './parts/index.js'
import { fieldOf, Progress, runComparison } from './run.js'

/** What is checked, and against whom. None needs a server. */
const CHECKED: Record<string, readonly string[]> = {
  'oneway-100-B': ['messages', 'CPU of primary', 'CPU of all'],
  'oneway-1-kB': ['messages', 'CPU of primary', 'CPU of all'],
  'oneway-64-kB-binary': ['messages', 'CPU of primary', 'CPU of all'],
  'fanout-8': ['deliveries', 'CPU of primary', 'CPU of all'],
  'requests-1': ['round trip p50', 'CPU of all'],
  'requests-64': ['requests', 'CPU of primary', 'CPU of all'],
  'requests-512': ['requests', 'CPU of primary', 'CPU of all'],
  'delegate-2': ['tasks', 'CPU of primary', 'CPU of all'],
  'http-get': ['requests', 'CPU of workers'],
  'socketio-rooms-8': ['messages', 'CPU of primary', 'CPU of all'],
  'socketio-broadcast-2000': ['deliveries', 'CPU of all'],
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, update: { type: 'boolean', default: false } },
})
const only = new RegExp(values.only)
const comparisons = PARTS.flatMap((part) => part.comparisons).filter(({ id }) => CHECKED[id] && only.test(id))
const fields = comparisons.map((comparison) => fieldOf(comparison, new Map(), optionsFor(comparison)))
const baseline = readBaseline()
const progress = new Progress(fields.reduce((sum, { present }) => sum + present.length * 6, 0))
const problems = Object.keys(CHECKED).flatMap((id) =>
  PARTS.some((part) => part.comparisons.some((comparison) => comparison.id === id)) ? [] : [`${id}: does not exist`],
)
// What is in the baseline and not measured any more would never fall.
for (const [id, names] of Object.entries(baseline.ratios)) {
  for (const name of Object.keys(names)) {
    if (CHECKED[id]?.includes(name)) continue
    if (values.update) delete names[name]
    else problems.push(`${id}, ${name}: not measured any more`)
  }
}
for (const field of fields) {
  const { id, title } = field.comparison
  const { rows, figures, failed } = await runComparison(field, optionsFor(field.comparison), progress)
  for (const { contestant, why } of failed) problems.push(`${title}: ${contestant} failed: ${why}`)
  const cells = rows.find(({ contestant }) => contestant === 'hubwire')?.cells
  for (const name of CHECKED[id] ?? []) {
    const ratio = cells?.[name]?.ratio
    const before = baseline.ratios[id]?.[name]
    if (ratio === undefined) {
      problems.push(`${title}, ${name}: not measured`)
      continue
    }
    const higherIsBetter = figures.find((figure) => figure.name === name)?.higherIsBetter ?? true
    const fallen = before !== undefined && hasFallen(ratio, before, higherIsBetter)
    const line = `${title}, ${name}: ${ratio} x ${field.comparison.against}, was ${before ?? 'not known'}`
    console.log(`${fallen ? 'FALLEN' : 'ok    '} ${line}`)
    if (fallen && !values.update) problems.push(line)
    if (values.update) baseline.ratios[id] = { ...baseline.ratios[id], [name]: ratio }
  }
}
for (const problem of problems) console.log(`FAILED: ${problem}`)
if (problems.length > 0) process.exitCode = 1
else if (values.update) writeBaseline(baseline)

function optionsFor({ against }: Comparison): BenchOptions {
  return {
    parts: [],
    mode: 'default',
    rounds: 5,
    run: 400,
    only,
    contestants: [against, 'hubwire'],
    out: undefined,
    check: false,
  }
}
