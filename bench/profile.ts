/**
 * Where the time goes: `npm run bench:profile -- '{"kind":"events","payload":"100 B","receivers":1,"count":2000000}'`.
 * Runs a job of the relay or of tasks with Hubwire, or with `--contestant socketio-contestants/hubwire` and the like,
 * under V8's profiler, and prints for each process the functions that it spent its time in, their own time alone. The
 * primary is the first, then its workers as they were forked. The profiles stay in `build/profiles`.
 */
import { execFile } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'

/** As V8 writes it, as far as we look at it. */
interface Profile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[]
  samples: number[]
  timeDeltas: number[]
}

/** Below this share of a process's busy time a function is not shown. */
const SHOWN = 0.015

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { contestant: { type: 'string', default: 'relay-contestants/hubwire' } },
})
const [job = '{"kind":"events","payload":"100 B","receivers":1,"count":1000000}'] = positionals
const folder = fileURLToPath(new URL('../profiles/', import.meta.url))
fs.rmSync(folder, { recursive: true, force: true })
const contestant = fileURLToPath(new URL(`./${values.contestant}.js`, import.meta.url))
await promisify(execFile)(process.execPath, ['--cpu-prof', `--cpu-prof-dir=${folder}`, contestant, job])
// The workers write theirs when their primary is gone.
await settled()
for (const name of fs.readdirSync(folder).sort())
  show(name, JSON.parse(fs.readFileSync(path.join(folder, name), 'utf8')))

function show(name: string, { nodes, samples, timeDeltas }: Profile): void {
  const times = new Map<number, number>()
  for (const [index, id] of samples.entries()) times.set(id, (times.get(id) ?? 0) + (timeDeltas[index] ?? 0))
  const functions = new Map<string, number>()
  let busy = 0
  for (const { id, callFrame } of nodes) {
    const time = times.get(id) ?? 0
    if (callFrame.functionName === '(idle)') continue
    busy += time
    const place = placeOf(callFrame.url)
    const label = `${callFrame.functionName || '(anonymous)'}${place && ` ${place}:${callFrame.lineNumber + 1}`}`
    functions.set(label, (functions.get(label) ?? 0) + time)
  }
  console.log(`\n${name}: busy for ${(busy / 1e6).toFixed(2)} s`)
  for (const [label, time] of [...functions].sort((a, b) => b[1] - a[1])) {
    if (time / busy >= SHOWN) console.log(`${((time / busy) * 100).toFixed(1).padStart(6)} %  ${label}`)
  }
}

/** As short as can be told apart. */
function placeOf(url: string): string {
  return url.replace(/^file:\/\/.*\/(?=(dist|build|node_modules)\/)/, '')
}

/** Resolves when no file has been added or has grown for a while. */
async function settled(): Promise<void> {
  const size = () => fs.readdirSync(folder).reduce((sum, name) => sum + fs.statSync(path.join(folder, name)).size, 0)
  for (let before = -1, calm = 0; calm < 5; ) {
    const now = size()
    calm = now === before ? calm + 1 : 0
    before = now
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}
