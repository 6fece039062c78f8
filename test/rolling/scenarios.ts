import fs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HandoverStats } from 'hubwire'
import { alive, failure, until } from '../conditions.js'
import { Random } from '../fuzz/random.js'
import { usage } from '../soak/usage.js'
import { type Allowed, check, type Verdict } from './checker.js'
import { type Cast, Stage } from './stage.js'

/** How long the last packets may be under way, in milliseconds. */
const SETTLING = 30_000
/** How long after that a process may be killed, in milliseconds. */
const MOVING = 40
/** What a process may grow by from the second reload to the last, in bytes. */
const MAX_GROWTH = 12 << 20
/** Handles that come and go: timers, a connection between its clients' requests. */
const MORE_HANDLES = 20

export interface Outcome {
  violations: string[]
  counts: Verdict['counts']
  handover: HandoverStats | undefined
}

export interface Plan {
  cast: Omit<Cast, 'keepsAlive'>
  reloads: number
  tell(line: string): void
}

/** Reloads under load; among them some that fail. Nobody is to notice any of it. */
export function reloads({ cast, reloads, tell }: Plan): Promise<Outcome> {
  return play({ ...cast, keepsAlive: true }, async (stage) => {
    const { hub } = stage
    const violations: string[] = []
    const samples: Sample[] = []
    const once = async (what: string) => {
      const begun = performance.now()
      await hub.reload()
      samples.push(await sample(stage))
      violations.push(...leftBehind(stage))
      tell(`${what}: ${seconds(begun)}, ${told(samples.at(-1))}`)
    }
    for (let i = 1; i <= reloads; i++) await once(`reload ${i} of ${reloads}`)
    const before = stage.workers
    stage.deploy('crashing')
    await failure(hub.reload())
    if (stage.workers.some(({ pid }, i) => pid !== before[i]?.pid)) violations.push('a reload that failed left others')
    stage.deploy('crashing at web-2')
    await failure(hub.reload())
    const changed = stage.workers.filter(({ pid }, i) => pid !== before[i]?.pid).map(({ id }) => id)
    if (changed.join() !== 'web-1') violations.push(`a reload that failed at web-2 exchanged ${changed}`)
    violations.push(...leftBehind(stage))
    stage.deploy('good')
    await once('a reload after two that failed')
    violations.push(...growth(samples))
    const { left = 0 } = hub.stats().handover ?? {}
    if (left > 0) violations.push(`${left} sessions were not handed over`)
    return { violations, killed: new Set() }
  })
}

/** In the middle of each worker's handover one of the two processes is killed. */
export function kills({ cast, tell }: Plan, victim: 'old' | 'new'): Promise<Outcome> {
  const random = new Random(cast.seed)
  return play({ ...cast, keepsAlive: false }, async (stage) => {
    const { hub } = stage
    const moved = () => hub.stats().handover?.moved ?? 0
    const killed = new Set<number>()
    for (const { id, pid: old } of stage.workers) {
      const { connections } = await hub.to(id).request('usage')
      const before = moved()
      const goal = before + random.below(Math.max(1, connections))
      let over = false
      // What becomes of it is not what is looked at: that one of the two is dead may be noticed by whoever comes first.
      const reload = hub
        .reload({ ids: [id] })
        .catch(() => {})
        .then(() => {
          over = true
        })
      await until(() => over || moved() > goal, `some of ${id} have moved`)
      // Their connections follow one by one.
      await sleep(random.below(MOVING))
      const successor = stage.workers.find((one) => one.id === id)?.pid ?? old
      const target = victim === 'old' ? old : successor
      killed.add(old)
      // What waits to be handed over to it has nobody to go to.
      if (victim === 'new') killed.add(successor)
      const lives = alive(target)
      if (lives) process.kill(target, 'SIGKILL')
      tell(
        `${id}: the ${victim} process ${lives ? 'killed' : 'gone'} when ${moved() - before} of ${connections} had moved`,
      )
      await reload
      await until(() => stage.workers.length === cast.workers, 'all workers are there')
      await stage.connected()
    }
    return { violations: leftBehind(stage), killed }
  })
}

async function play(
  cast: Cast,
  during: (stage: Stage) => Promise<{ violations: string[]; killed: Set<number> }>,
): Promise<Outcome> {
  const stage = await Stage.open(cast)
  try {
    await stage.start()
    const { violations, killed } = await during(stage)
    await stage.rest()
    const verdict = await settled(stage, { killed })
    violations.push(...verdict.violations)
    return { violations, counts: verdict.counts, handover: stage.hub.stats().handover }
  } finally {
    await stage.close()
  }
}

/** The last packets are under way for a moment. */
async function settled(stage: Stage, allowed: Allowed): Promise<Verdict> {
  const end = performance.now() + SETTLING
  for (;;) {
    const verdict = check(await stage.sessions(), await stage.finish(), allowed)
    if (verdict.violations.length === 0 || performance.now() > end) return verdict
    await sleep(200)
  }
}

/** Old processes that are still there. */
function leftBehind(stage: Stage): string[] {
  const current = new Set(stage.workers.map(({ pid }) => pid))
  return [...stage.pids].filter((pid) => !current.has(pid) && alive(pid)).map((pid) => `process ${pid} is still there`)
}

/** Of one process, by name. */
type Sample = Map<string, { bytes: number; handles: number; files: number }>

async function sample({ hub, workers }: Stage): Promise<Sample> {
  const { bytes, handles } = await usage()
  // Packets of the last seconds, and rooms of all clients that came and went: counted and bounded.
  const kept = hub.stats().recovery?.bytes ?? 0
  const files = fs.readdirSync('/proc/self/fd').length
  const all: Sample = new Map([['primary', { bytes: bytes - kept, handles, files }]])
  for (const { id, pid } of workers) {
    const { bytes, handles, connections } = await hub.to(id).request('usage')
    const files = fs.readdirSync(`/proc/${pid}/fd`).length
    // Sessions are not shared out evenly, and each has its connection, buffers and timers.
    all.set(id, { bytes: bytes - 20_000 * connections, handles: handles - connections, files: files - connections })
  }
  return all
}

function growth(samples: readonly Sample[]): string[] {
  const [, first] = samples
  const last = samples.at(-1)
  if (!first || !last) return []
  return [...last].flatMap(([name, { bytes, files }]) => {
    const before = first.get(name)
    if (!before) return []
    const wrongs: string[] = []
    if (bytes > before.bytes + MAX_GROWTH) wrongs.push(`${name} grew from ${before.bytes} to ${bytes} bytes`)
    if (files > before.files + MORE_HANDLES) wrongs.push(`${name} had ${before.files} open files, then ${files}`)
    return wrongs
  })
}

function told(sample: Sample | undefined): string {
  return [...(sample ?? [])]
    .map(([name, { bytes, handles, files }]) => `${name} ${(bytes / 2 ** 20).toFixed(1)} MiB ${handles}/${files}`)
    .join(', ')
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`
}
