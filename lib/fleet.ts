import { HubError, invalid } from './errors.js'
import type { Place } from './relay/place.js'
import { noRole, readReload } from './reloading.js'
import { planScale, roleTemplates } from './scaling.js'
import { normaliseId } from './supervisor/ids.js'
import { type ResolvedSeat, resolveSeats } from './supervisor/options.js'
import type { Supervisor } from './supervisor/supervisor.js'
import type { Member, ReloadOptions, SupervisionOptions, WorkerSpec } from './types.js'

/** What the fleet asks of the primary. */
export interface FleetHooks {
  readonly closing: boolean
  /** All seats of the hub, the primary's included. */
  places(): Iterable<Place>
  /** A seat is there before its first process is: what is sent to it waits. */
  addPlace(id: string, role: string | undefined): void
  /** Whoever is told that something has happened finds it so. */
  sync(attempt: string): Promise<void>
}

/** The verbs that start, stop and exchange workers. */
export class Fleet {
  readonly #supervisor: Supervisor
  readonly #supervision: SupervisionOptions
  readonly #hooks: FleetHooks
  /** What a new worker of a role is like. */
  readonly #templates = new Map<string, ResolvedSeat>()

  constructor(supervisor: Supervisor, supervision: SupervisionOptions, hooks: FleetHooks) {
    this.#supervisor = supervisor
    this.#supervision = supervision
    this.#hooks = hooks
  }

  /** The workers that the hub begins with, once `joined`. */
  async start(workers: readonly WorkerSpec[], join: () => Promise<void>): Promise<void> {
    const seats = resolveSeats(workers, this.#supervision, new Set(['primary']))
    this.#learnRoles(workers)
    await join()
    await this.#add(seats, 'startHub()')
  }

  async fork(spec: WorkerSpec): Promise<readonly Member[]> {
    this.#refuseClosed('hub.fork()')
    const taken = new Set([...this.#hooks.places()].map(({ id }) => id))
    const seats = resolveSeats([spec], this.#supervision, taken, () => 'fork()')
    this.#learnRoles([spec])
    await this.#add(seats, 'hub.fork()')
    return this.#membersAt(seats.map(({ id }) => id))
  }

  async stop(id: string | number): Promise<void> {
    const seat = workerId(id, 'hub.stop()')
    const attempt = `hub.stop(${JSON.stringify(seat)})`
    await this.#hooks.sync(attempt)
    await this.#supervisor.stop(seat)
    await this.#hooks.sync(attempt)
  }

  async restart(id: string | number): Promise<void> {
    const seat = workerId(id, 'hub.restart()')
    const attempt = `hub.restart(${JSON.stringify(seat)})`
    await this.#hooks.sync(attempt)
    await this.#supervisor.restart(seat)
    await this.#hooks.sync(attempt)
  }

  async reload(options: ReloadOptions = {}): Promise<readonly Member[]> {
    this.#refuseClosed('hub.reload()')
    const { ids, concurrency } = readReload(options, this.#supervisor.seats)
    await this.#hooks.sync('hub.reload()')
    await this.#supervisor.reload(ids, concurrency)
    await this.#hooks.sync('hub.reload()')
    return this.#membersAt(ids)
  }

  async scale(role: string, count: number): Promise<readonly Member[]> {
    const attempt = `hub.scale(${JSON.stringify(role)})`
    this.#refuseClosed(attempt)
    const template = this.#templates.get(role)
    if (!template) throw noRole(attempt, role, this.#supervisor.seats)
    const plan = () => planScale(template, role, count, this.#supervisor.seats)
    // What cannot be is refused at once, and does not wait for its turn.
    plan()
    await this.#hooks.sync(attempt)
    return this.#supervisor.change(async () => {
      this.#refuseClosed(attempt)
      const { add, remove } = plan()
      await this.#add(add, attempt)
      await this.#supervisor.remove(remove)
      await this.#hooks.sync(attempt)
      return [...this.#hooks.places()].filter((place) => place.role === role).map((place) => place.snapshot())
    })
  }

  async #add(seats: readonly ResolvedSeat[], attempt: string): Promise<void> {
    // All seats are there before the first process is: what is sent to one that starts later waits for it.
    for (const seat of seats) this.#hooks.addPlace(seat.id, seat.role)
    try {
      await this.#supervisor.add(seats)
    } catch (error) {
      // Why it failed is worth more than that the hub was closed meanwhile.
      await this.#hooks.sync(attempt).catch(() => {})
      throw error
    }
    // Whoever is told that they are ready finds it so.
    await this.#hooks.sync(attempt)
  }

  #learnRoles(specs: readonly WorkerSpec[]): void {
    for (const [role, seat] of roleTemplates(specs, this.#supervision)) this.#templates.set(role, seat)
  }

  #membersAt(ids: readonly string[]): Member[] {
    return [...this.#hooks.places()].filter(({ id }) => ids.includes(id)).map((place) => place.snapshot())
  }

  #refuseClosed(attempt: string): void {
    if (this.#hooks.closing) throw new HubError('ERR_HUB_CLOSED', `${attempt}: this hub is closed. Start another.`)
  }
}

function workerId(id: string | number, where: string): string {
  if (id === 'primary') throw invalid(`${where}: the primary is the hub itself; hub.close() ends it.`)
  return normaliseId(id, where)
}
