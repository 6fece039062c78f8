import { setTimeout as sleep } from 'node:timers/promises'
import { Random } from '../fuzz/random.js'
import type { Harm } from './contract.js'
import type { World } from './world.js'

/** Between two faults, in milliseconds. */
const LEAST_PAUSE = 100
const MORE_PAUSE = 700

/** What may go wrong with a call of the nemesis's own, because it does more harm meanwhile. */
const EXPECTED = new Set(['ERR_HUB_MEMBER_EXITED', 'ERR_HUB_TIMEOUT', 'ERR_HUB_CLOSED', 'ERR_HUB_OVERLOADED'])

type Fault = (nemesis: Nemesis) => string

/** How often each occurs, in relation to the others. */
const FAULTS: Record<string, { weight: number; strike: Fault }> = {
  kill: { weight: 5, strike: (nemesis) => nemesis.kill() },
  stop: { weight: 4, strike: (nemesis) => nemesis.stop() },
  wedge: { weight: 3, strike: (nemesis) => nemesis.harm({ what: 'wedge', ms: nemesis.random.below(3000) }) },
  hang: { weight: 1, strike: (nemesis) => nemesis.harm({ what: 'wedge', ms: 20_000 }) },
  leak: { weight: 2, strike: (nemesis) => nemesis.harm({ what: 'leak' }) },
  exit: { weight: 2, strike: (nemesis) => nemesis.harm({ what: 'exit' }) },
  restart: { weight: 3, strike: (nemesis) => nemesis.restart() },
  reload: { weight: 2, strike: (nemesis) => nemesis.reload() },
  flood: { weight: 3, strike: (nemesis) => nemesis.harm({ what: 'flood', count: 6000, heeds: true }) },
  deluge: { weight: 2, strike: (nemesis) => nemesis.harm({ what: 'flood', count: 12_000, heeds: false }) },
  huge: { weight: 2, strike: (nemesis) => nemesis.harm({ what: 'huge', bytes: nemesis.random.below(5 << 20) }) },
  malformed: { weight: 2, strike: (nemesis) => nemesis.malformed() },
  cut: { weight: 3, strike: (nemesis) => nemesis.tell({ t: 'cut', count: 1 + nemesis.random.below(40) }) },
  half: { weight: 2, strike: (nemesis) => nemesis.tell({ t: 'visit', kind: 'half', count: nemesis.random.below(60) }) },
  garbage: { weight: 1, strike: (nemesis) => nemesis.tell({ t: 'visit', kind: 'garbage', count: 20 }) },
  sessions: { weight: 1, strike: (nemesis) => nemesis.tell({ t: 'visit', kind: 'sessions', count: 20 }) },
  upgrade: { weight: 1, strike: (nemesis) => nemesis.tell({ t: 'visit', kind: 'upgrade', count: 10 }) },
}
const LOTS = Object.entries(FAULTS).flatMap(([name, { weight }]) => Array.from({ length: weight }, () => name))

/** Does harm, as its seed says: the same faults to the same seats, in the same order and after the same pauses. */
export class Nemesis {
  readonly random: Random
  readonly #world: World
  readonly #victims: readonly string[]
  readonly #stopped = new Map<number, NodeJS.Timeout>()
  readonly #under: Promise<unknown>[] = []
  /** What it did, and when, in milliseconds since it began. */
  readonly log: string[] = []
  /** What it asked for, and failed as it should not. */
  readonly surprises: string[] = []

  constructor(world: World, seed: number, victims?: readonly string[]) {
    this.#world = world
    this.random = new Random(seed)
    this.#victims = victims ?? world.hub.members.map(({ id }) => id).filter((id) => id !== 'primary')
  }

  async rage(milliseconds: number): Promise<void> {
    const start = performance.now()
    while (performance.now() - start < milliseconds) {
      await sleep(LEAST_PAUSE + this.random.below(MORE_PAUSE))
      const name = this.random.pick(LOTS)
      const what = FAULTS[name]?.strike(this)
      this.log.push(`${Math.round(performance.now() - start)} ${name} ${what}`)
    }
  }

  /** One of the milder faults, such as any day brings. */
  disturb(): void {
    const name = this.random.pick(['kill', 'restart', 'reload', 'cut', 'half', 'stop'])
    this.log.push(`${name} ${FAULTS[name]?.strike(this)}`)
  }

  /** Lets everybody go on, and waits until what it asked for is over. */
  async heal(): Promise<void> {
    for (const pid of [...this.#stopped.keys()]) this.#continue(pid)
    await Promise.all(this.#under)
  }

  kill(): string {
    const id = this.#victim()
    this.#signal(this.#world.pidOf(id), 'SIGKILL')
    return id
  }

  stop(): string {
    const id = this.#victim()
    const ms = this.random.chance(0.3) ? 8000 : 100 + this.random.below(2500)
    const pid = this.#world.pidOf(id)
    if (pid !== undefined && !this.#stopped.has(pid) && this.#signal(pid, 'SIGSTOP')) {
      this.#stopped.set(
        pid,
        setTimeout(() => this.#continue(pid), ms),
      )
    }
    return `${id} for ${ms} ms`
  }

  harm(harm: Harm): string {
    const id = this.#victim()
    this.#world.hub.to(id).emit('misbehave', harm)
    return `${id} ${JSON.stringify(harm)}`
  }

  malformed(): string {
    const id = this.#victim()
    this.#world.offenders.add(id)
    this.#world.hub.to(id).emit('misbehave', { what: 'malformed' })
    return id
  }

  restart(): string {
    const id = this.#victim()
    this.#await(`restart of ${id}`, this.#world.hub.restart(id))
    return id
  }

  reload(): string {
    const id = this.#victim()
    this.#await(`reload of ${id}`, this.#world.hub.reload({ ids: [id] }))
    return id
  }

  tell(order: Parameters<World['clients']>[0]): string {
    this.#under.push(this.#world.clients(order))
    return 'count' in order ? String(order.count) : ''
  }

  #victim(): string {
    return this.random.pick(this.#victims)
  }

  #await(what: string, promise: Promise<unknown>): void {
    this.#under.push(
      promise.catch((error: Error & { code?: string }) => {
        if (!EXPECTED.has(error.code ?? '')) this.surprises.push(`${what}: ${error.message}`)
      }),
    )
  }

  #continue(pid: number): void {
    clearTimeout(this.#stopped.get(pid))
    this.#stopped.delete(pid)
    this.#signal(pid, 'SIGCONT')
  }

  #signal(pid: number | undefined, signal: NodeJS.Signals): boolean {
    // It may be gone already, and its number another's.
    const isOurs = [...this.#world.processes].some(([name, { exit }]) => !exit && name.endsWith(`:${pid}`))
    try {
      return pid !== undefined && isOurs && process.kill(pid, signal)
    } catch {
      return false
    }
  }
}
