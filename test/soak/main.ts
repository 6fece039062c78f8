// A hub under load for a long time: npm run soak -- --minutes 30 --out soak.svg
//
// Memory, handles and latencies are plotted over time. Memory must not grow: its slope is tested. Now and then a worker is
// killed, restarted or reloaded, and clients are cut off, as in life; two workers are left in peace, to be looked at.
// Ctrl-C ends it early, with what there is by then.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { Nemesis } from '../faults/nemesis.js'
import { persist } from '../faults/round.js'
import type { ClientsState } from '../faults/workers/clients.js'
import { World } from '../faults/world.js'
import { type Panel, percentile, plot, slope } from './plot.js'
import { usage } from './usage.js'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    out: { type: 'string', default: 'soak.svg' },
    seed: { type: 'string', default: String(Date.now() % 1e9) },
  },
})
const seconds = Number(values.minutes) * 60
/** Of heap and buffers, after a collection, in bytes an hour: what is above it would show after a night. */
const MAX_SLOPE = 4 << 20
/** Shorter runs are all warming up, in seconds. */
const TELLING = 600
/** Until caches are full and code is compiled. */
const WARM_UP = 1 / 3
/** Between two faults, in milliseconds. */
const PAUSE = 15_000
/** How long one of these may take to say what it uses, in milliseconds: others have the machine, too. */
const PATIENCE = 120_000
/** Nobody harms these. */
const WATCHED = ['primary', 'web-4', 'crunch-2'] as const
const COLOURS = { primary: '#c2410c', 'web-4': '#1d4ed8', 'crunch-2': '#15803d' }

const own = fs.mkdtempSync(path.join(os.tmpdir(), 'hubwire-soak-'))
process.env.TMPDIR = own
process.removeAllListeners('warning')
console.log(`seed ${values.seed}, ${values.minutes} minutes`)

// A load that a small machine bears for hours, and latencies tell of.
process.env.FAULTS_STEP ??= '120'
process.env.FAULTS_PAUSE ??= '6000'
// Nor is a pause of the machine's to end one of those that are looked at.
process.env.FAULTS_HUNG_AFTER ??= '60000'
const world = await World.open(Number(values.seed))
const { hub, load } = world
const others = hub.members.map(({ id }) => id).filter((id) => id !== 'primary')
load.start()
await Promise.all(others.map((id) => hub.to(id).request('go')))
await world.clients({ t: 'rest' })
await world.clients({ t: 'go' })
const nemesis = new Nemesis(
  world,
  Number(values.seed),
  others.filter((id) => !WATCHED.includes(id as 'web-4')),
)

/** Round trips of this process with a worker, since the last sample, in milliseconds, and those that failed. */
let trips: number[] = []
let failures = 0
const probe = setInterval(async () => {
  const begun = performance.now()
  const ask = { key: 'soak', from: `primary:${process.pid}`, n: 0, ms: 0, fails: false, ordered: false }
  try {
    await hub.to('web-4').request('echo', ask)
    trips.push(performance.now() - begun)
  } catch {
    failures++
  }
}, 50)
const harm = setInterval(() => nemesis.disturb(), PAUSE)

const at: number[] = []
const memory = { primary: [] as number[], 'web-4': [] as number[], 'crunch-2': [] as number[] }
const handles = { primary: [] as number[], 'web-4': [] as number[], 'crunch-2': [] as number[] }
const rss: number[] = []
const latency = { hub50: [] as number[], hub99: [] as number[], client50: [] as number[], client99: [] as number[] }
let connected = 0
/** The process that sits there: of another one memory says nothing about the first. */
const incarnation = (id: string) => hub.members.find((member) => member.id === id)?.incarnation
let interrupted = false
process.once('SIGINT', () => {
  interrupted = true
})

const start = performance.now()
const every = Math.max(1, seconds / 450)
while (!interrupted && performance.now() - start < seconds * 1000) {
  await new Promise((resolve) => setTimeout(resolve, every * 1000))
  const mine = trips
  trips = []
  const state = (await world.clients({ t: 'state' })) as ClientsState
  connected = state.connected.length
  at.push((performance.now() - start) / 1000)
  latency.hub50.push(percentile(mine, 0.5))
  latency.hub99.push(percentile(mine, 0.99))
  latency.client50.push(percentile(state.trips, 0.5))
  latency.client99.push(percentile(state.trips, 0.99))
  rss.push(process.memoryUsage.rss() / 2 ** 20)
  for (const id of WATCHED) {
    const used = id === 'primary' ? await usage() : await persist(() => hub.to(id).timeout(PATIENCE).request('usage'))
    memory[id].push(used.bytes / 2 ** 20)
    handles[id].push(used.handles)
  }
}
const lasted = (performance.now() - start) / 1000
const replaced = WATCHED.filter((id) => incarnation(id) !== 1)
clearInterval(probe)
clearInterval(harm)
await nemesis.heal()
await world.close()
world.removeHistories()
fs.rmSync(own, { recursive: true, force: true })

const lines = (of: Record<(typeof WATCHED)[number], number[]>) =>
  WATCHED.map((id) => ({ name: id, colour: COLOURS[id], values: of[id] }))
const panels: Panel[] = [
  { title: 'Heap and buffers after a collection', unit: 'MiB', series: lines(memory) },
  { title: 'Handles and timers that are open', unit: 'count', series: lines(handles) },
  {
    title: 'Round trips',
    unit: 'ms',
    series: [
      { name: 'request p50', colour: '#7c3aed', values: latency.hub50 },
      { name: 'request p99', colour: '#c4b5fd', values: latency.hub99 },
      { name: 'client ask p50', colour: '#0f766e', values: latency.client50 },
      { name: 'client ask p99', colour: '#5eead4', values: latency.client99 },
    ],
    top: 4 * percentile([...latency.hub99, ...latency.client99], 0.5),
  },
]
const title = `${Math.round(lasted / 60)} minutes: 6 workers, 200 clients, ${nemesis.log.length} faults, Node.js ${process.version}`
fs.writeFileSync(values.out, plot(title, at, panels))
console.log(`${values.out} written, ${at.length} samples, ${connected} clients connected at the end`)
console.log(
  `faults: ${nemesis.log.length}; round trips that failed: ${failures}; RSS of the primary: ${rss[0]?.toFixed(0)} MiB first, ${rss.at(-1)?.toFixed(0)} MiB last`,
)
for (const [name, list] of Object.entries(latency))
  console.log(`${name}: ${percentile(list, 0.5).toFixed(1)} ms in the middle`)
const from = at.findIndex((time) => time >= lasted * WARM_UP)
for (const id of WATCHED) {
  const rise = slope(at.slice(from), memory[id].slice(from)) * 3600 * 2 ** 20
  const told = `${id}: ${(rise / 2 ** 20).toFixed(2)} MiB an hour, ${memory[id].at(-1)?.toFixed(1)} MiB at the end`
  if (lasted < TELLING || replaced.includes(id)) {
    console.log(`     ${told}; ${replaced.includes(id) ? 'it was replaced, which' : 'so short a run'} tells nothing`)
    if (replaced.includes(id)) process.exitCode = 1
    continue
  }
  const flat = rise < MAX_SLOPE
  console.log(`${flat ? 'ok  ' : 'FAIL'} ${told}`)
  if (!flat) process.exitCode = 1
}
