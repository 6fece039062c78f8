/**
 * What a message costs, counted and not timed, so that a busy machine does not matter: `npm run bench:check:wire`. Bytes
 * allocated for each message, through a whole hub that is one process, compared with `baseline.json`; it fails when one
 * grew by more than a third, which is to say that a quarter was lost. `-- --instructions` counts these, too, where
 * valgrind is installed, and takes half a minute more. `-- --update` writes what it finds to `baseline.json`.
 */
import { execFile, execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { hasFallen, readBaseline, writeBaseline } from './baseline.js'

const KINDS = ['events', 'requests', 'binary'] as const
const COUNT = 20_000
/** Room for all that is allocated, so that nothing is collected while it is counted. In MiB. */
const YOUNG = 256

const file = fileURLToPath(new URL('./wire-work.js', import.meta.url))
const run = promisify(execFile)
const { values } = parseArgs({
  options: { instructions: { type: 'boolean', default: false }, update: { type: 'boolean', default: false } },
})

async function allocated(kind: string): Promise<number> {
  const young = [`--min-semi-space-size=${YOUNG}`, `--max-semi-space-size=${YOUNG}`]
  const { stdout } = await run(process.execPath, [...young, file, kind, String(COUNT)])
  const { bytes, collections } = JSON.parse(stdout) as { bytes: number; collections: number }
  if (collections > 0) throw new Error(`there were ${collections} collections, so the bytes are not known`)
  return bytes
}

/** Of the messages alone: a run without any is subtracted. On one thread, because others compile when they like. */
async function instructions(kind: string): Promise<number> {
  const [none, some] = (await Promise.all(
    [0, COUNT].map(async (count) => {
      const valgrind = ['--tool=callgrind', '--smc-check=all-non-file', '--callgrind-out-file=/dev/null']
      const node = [process.execPath, '--single-threaded', file, kind, String(count)]
      const { stderr } = await run('valgrind', [...valgrind, ...node])
      return Number(/Collected : (\d+)/.exec(stderr)?.[1])
    }),
  )) as [number, number]
  return (some - none) / COUNT
}

function hasValgrind(): boolean {
  try {
    execFileSync('valgrind', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const found: Record<string, number> = {}
for (const kind of KINDS) found[`${kind}, bytes`] = Math.round(await allocated(kind))
if (values.instructions && hasValgrind()) found['events, instructions'] = Math.round(await instructions('events'))
else if (values.instructions) console.log('skipped: instructions, because valgrind is not installed')

const [major = ''] = process.versions.node.split('.')
const baseline = readBaseline()
const before = baseline.wire[major]
if (!before) console.log(`nothing is known of Node.js ${major}: nothing is compared`)
for (const [name, value] of Object.entries(found)) {
  const known = before?.[name]
  const fallen = known !== undefined && hasFallen(value, known, false)
  console.log(`${fallen ? 'FALLEN' : 'ok    '} ${name} for each message: ${value}, was ${known ?? 'not known'}`)
  if (fallen && !values.update) process.exitCode = 1
}
if (values.update) {
  baseline.wire[major] = { ...before, ...found }
  writeBaseline(baseline)
}
