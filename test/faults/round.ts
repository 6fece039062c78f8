import { setTimeout as sleep } from 'node:timers/promises'
import type { PrimaryHub } from 'hubwire'
import { heap } from '../wire/heap.js'
import { check, type Verdict } from './checker.js'
import { checkClients } from './client-checker.js'
import { type Faults, type Mark, processName, SEATS, type View } from './contract.js'
import { writePhase } from './history.js'
import { census } from './leftovers.js'
import { Nemesis } from './nemesis.js'
import { read } from './record.js'
import { CLIENTS, type World } from './world.js'

/**
 * How long the hub may take to be whole again once nobody harms it: no less than engine.io takes to miss a client that went
 * without a word, which is 45 s. In milliseconds.
 */
const RECOVERY = 60_000

export interface RoundOutcome extends Verdict {
  /** Bytes on the primary's heap when all was quiet. */
  heap: number
  faults: string[]
}

const WORKERS = SEATS.filter((id) => id !== 'primary')
const PRIMARY = processName('primary', process.pid)

/** Load and harm for so long, then healing; then everything must be as if nothing had happened, and is looked through. */
export async function playRound(
  world: World,
  seed: number,
  milliseconds: number,
  number: number,
): Promise<RoundOutcome> {
  const { hub, load } = world
  const droppedBefore = world.dropped()
  writePhase(world.folder, { round: number, going: false, seed })
  load.begin(number)
  await Promise.all([
    world.clients({ t: 'begin', round: number }),
    ...WORKERS.map((id) => persist(() => hub.to(id).request('begin', number))),
  ])
  writePhase(world.folder, { round: number, going: true, seed })
  load.start()
  await Promise.all(WORKERS.map((id) => persist(() => hub.to(id).request('go'))))
  const nemesis = new Nemesis(world, seed)
  await nemesis.rage(milliseconds)
  await nemesis.heal()
  writePhase(world.folder, { round: number, going: false, seed })
  await world.clients({ t: 'rest' })

  const violations = [...nemesis.surprises]
  let whole = true
  const attempt = async (what: string, condition: () => unknown) => {
    // What follows would wait in vain, too.
    if (!whole) return
    const missing = await within(condition)
    whole = missing === undefined
    if (!whole) violations.push(`not converged: ${what} (${missing})`)
  }
  const before = violations.length
  await attempt('all members are ready', () => differing(hub, ({ state }) => state !== 'ready'))
  await inTime([
    load.rest(),
    ...WORKERS.map((id) => persist(() => hub.to(id).timeout(RECOVERY).request('rest'))),
  ]).catch((error) => violations.push(`not converged: the load does not end: ${error.message}`))
  if (violations.length === before) {
    await settle(world, attempt).catch((error) => violations.push(`not converged: ${error.message}`))
  }
  checkOffences(world, violations)
  const bytes = await heap()

  const dropped = Object.fromEntries(
    Object.entries(world.dropped()).map(([id, count]) => [id, count - (droppedBefore[id] ?? 0)]),
  )
  const round = read(world.folder, number, world.processes)
  const verdicts = [check(round, dropped), checkClients(round, dropped)]
  const counts = Object.assign({}, ...verdicts.map((verdict) => verdict.counts)) as Record<string, number>
  violations.push(...verdicts.flatMap((verdict) => verdict.violations))
  if ((counts.events ?? 0) < 300 || (counts.calls ?? 0) < 100) violations.push('hardly anything was sent')
  return { violations, counts, heap: bytes, faults: nemesis.log }
}

type Attempt = (what: string, condition: () => unknown) => Promise<void>

/** Nothing is under way, and everybody sees the same. Conditions return what is missing, or nothing. */
async function settle(world: World, attempt: Attempt): Promise<void> {
  const { hub, io, load } = world
  await attempt('all clients are connected', async () => {
    const { connected, asking } = await world.clientsState()
    return connected.length < CLIENTS || asking > 0 ? `${connected.length} connected, ${asking} ask` : undefined
  })
  await attempt(
    'nobody is slow',
    () =>
      hub
        .stats()
        .links?.filter(({ slow }) => slow)
        .map(({ id }) => id)
        .join() || undefined,
  )
  // The last that everybody says reaches all.
  const marks: Record<string, Mark> = { [PRIMARY]: load.mark() }
  for (const id of WORKERS) {
    const mark = await persist(() => hub.to(id).request('mark'))
    marks[mark.name] = mark
  }
  const views = async (): Promise<View[]> => [
    load.view(),
    ...(await Promise.all(WORKERS.map((id) => hub.to(id).request('view')))),
  ]
  await attempt('the last event of each reaches all', async () => {
    for (const { name, heard } of await views()) {
      for (const [from, { item }] of Object.entries(marks)) {
        if (heard[from] !== item) return `${name} has heard ${heard[from]} of ${from}, not ${item}`
      }
    }
    return undefined
  })
  await attempt('the last packet of each reaches all clients', async () => {
    const { heard } = await world.clientsState()
    for (const [from, { packet }] of Object.entries(marks)) {
      if (heard[from] !== packet) return `a client has heard ${heard[from]} of ${from}, not ${packet}`
    }
    return undefined
  })
  await attempt('all members see the same members', async () => {
    const [own, ...others] = await views()
    const expected = String(own?.members)
    const other = others.find(({ members }) => String(members) !== expected)
    return other && `${other.name}: ${other.members}; the primary: ${expected}`
  })
  await attempt('all members see the same clients', async () => {
    const { connected } = await world.clientsState()
    const found = (await io.fetchSockets()).map(({ id }) => id)
    if (String(found.sort()) !== String(connected.sort())) return `${found.length} found, ${connected.length} connected`
    const servers = await io.of('/').adapter.serverCount()
    return servers === SEATS.length ? undefined : `${servers} servers`
  })
  await attempt('nothing waits, and nothing runs', async () => {
    for (const { name, pendingCalls, runningTasks, queuedBytes } of await views()) {
      // What this process asks of others is counted while it asks.
      const busy = [name === PRIMARY ? 0 : pendingCalls, runningTasks, name === PRIMARY ? 0 : queuedBytes]
      if (busy.some((count) => count !== 0)) return `${name}: ${busy}`
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
    const { pendingCalls, queuedBytes, links = [], tasks, http } = hub.stats()
    const busy = { pendingCalls, queuedBytes, tasks: tasks && tasks.queued + tasks.queuedBytes + tasks.retryBytes }
    for (const [what, count] of Object.entries(busy)) if (count !== 0) return `${what} ${count}`
    if (links.length !== SEATS.length) return `${links.length} links`
    for (const { id, held, queuedTasks, runningTasks, queuedBytes } of links) {
      if (held + queuedTasks + runningTasks + queuedBytes > 0)
        return `${id}: ${[held, queuedTasks, runningTasks, queuedBytes]}`
    }
    return http && http.reading + http.waiting + http.waitingBytes > 0 ? `http: ${JSON.stringify(http)}` : undefined
  })
  await attempt('nothing is kept of processes, calls and connections that are gone', async () => {
    const found = await census()
    // The primary has two links, as every member: one to the hub, and the hub's to it.
    const expected = {
      Peer: SEATS.length,
      Place: SEATS.length,
      Incarnation: WORKERS.length,
      WorkerProcess: WORKERS.length,
      Call: 0,
      Link: SEATS.length + 1,
      Backend: 4,
    }
    const wrong = Object.entries(expected).filter(([name, count]) => found[name] !== count)
    return wrong.map(([name, count]) => `${found[name]} of ${name}, not ${count}`).join() || undefined
  })
}

/** Only who was made to send what it must not has done so. A new process has a new account. */
function checkOffences(world: World, violations: string[]): void {
  for (const { id, protocolErrors } of world.hub.stats().links ?? []) {
    if (protocolErrors > 0 && !world.offenders.has(id)) {
      violations.push(`offence: ${id} is blamed for ${protocolErrors} messages`)
    }
  }
}

function differing(hub: PrimaryHub<Faults>, isWrong: (member: PrimaryHub['members'][number]) => boolean) {
  return (
    hub.members
      .filter(isWrong)
      .map(({ id, state }) => `${id} is ${state}`)
      .join() || undefined
  )
}

/** What a condition says is missing when it has had its time, or undefined. */
async function within(condition: () => unknown): Promise<unknown> {
  const end = performance.now() + RECOVERY
  for (;;) {
    let missing: unknown
    try {
      missing = await condition()
    } catch (error) {
      missing = (error as Error).message
    }
    if (missing === undefined || performance.now() > end) return missing
    await sleep(50)
  }
}

/** The primary's own calls may wait for longer than anybody has patience. */
async function inTime(all: Promise<void>[]): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${RECOVERY} ms`)), RECOVERY)
  })
  await Promise.race([Promise.all(all), late]).finally(() => clearTimeout(timer))
}

/** Asks again where the one who was asked has died. */
export async function persist<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_HUB_MEMBER_EXITED') throw error
    }
  }
}
