import { HubError, invalid } from '../errors.js'
import type { SeatView, SupervisorHooks } from './hooks.js'
import type { ResolvedSeat } from './options.js'
import { rollOut } from './rollout.js'
import { Seat } from './seat.js'

export type { LifecycleInfo, SeatView, SupervisionEvent, SupervisorHooks } from './hooks.js'

/** Keeps the seats of a hub occupied. Knows processes and policies, nothing of messages. */
export class Supervisor {
  readonly #hooks: SupervisorHooks
  readonly #seats = new Map<string, Seat>()
  /** The last incarnation of seats that were removed: an id that comes back must not repeat one. */
  readonly #past = new Map<string, number>()
  /** Resolves when the last of the changes that were asked for is over. */
  #lastChange: Promise<unknown> = Promise.resolve()
  /** Reloads that have not begun, by the seats that they are for. */
  readonly #nextReloads = new Map<string, Promise<void>>()
  #closing: Promise<boolean> | undefined
  #closed = false

  constructor(hooks: SupervisorHooks) {
    this.#hooks = hooks
  }

  /** Every seat, in the order in which they were added. */
  get seats(): readonly SeatView[] {
    return [...this.#seats.values()].map((seat) => seat.view)
  }

  seat(id: string): SeatView | undefined {
    return this.#seats.get(id)?.view
  }

  /**
   * Starts these seats. Resolves when all are ready. When one of them cannot be started, none of them stays.
   * @throws {HubError} `ERR_HUB_MEMBER_EXITED`, `ERR_HUB_TIMEOUT`, `ERR_HUB_CLOSED`
   */
  async add(specs: readonly ResolvedSeat[]): Promise<void> {
    this.#refuseClosed('Starting workers')
    for (const { id } of specs) {
      if (this.#seats.has(id))
        throw invalid(
          `The id ${JSON.stringify(id)} is used already: every worker needs an id of its own. ` +
            `If it was stopped, start it again with hub.restart(${JSON.stringify(id)}).`,
        )
    }
    const added: Seat[] = []
    try {
      const starts: Promise<void>[] = []
      for (const spec of specs) {
        const seat = new Seat(spec, this.#past.get(spec.id) ?? 0, this.#hooks, (failed) => this.#checkRole(failed))
        this.#seats.set(spec.id, seat)
        added.push(seat)
        const start = seat.start()
        // Judged below, with the others; one that fails while the rest is being forked is not unhandled.
        start.catch(() => {})
        starts.push(start)
        // A hook may have closed the hub.
        this.#refuseClosed('Starting workers')
      }
      await Promise.all(starts)
    } catch (error) {
      await this.#abandon(added)
      throw error
    }
  }

  /**
   * Exchanges the processes of these seats for new ones, from the files as they are when it begins. One reload, or other
   * change, follows the other; one that has not begun serves all who ask for the same. Seats that are stopped meanwhile
   * are left alone.
   * @throws {HubError} `ERR_HUB_MEMBER_EXITED`, `ERR_HUB_TIMEOUT`, `ERR_HUB_CLOSED`
   */
  reload(ids: readonly string[], concurrency: number): Promise<void> {
    const key = JSON.stringify([concurrency, ...ids])
    const next = this.#nextReloads.get(key)
    if (next) return next
    const reload = this.change(() => {
      this.#nextReloads.delete(key)
      this.#refuseClosed('hub.reload()')
      const seats = ids.flatMap((id) => this.#seats.get(id) ?? [])
      return rollOut(seats, concurrency, (seat, progress) => {
        if (this.#seats.get(seat.spec.id) === seat) this.#hooks.lifecycle('reload', seat.view, progress)
      })
    })
    this.#nextReloads.set(key, reload)
    return reload
  }

  /** Runs what changes many seats when all such changes that were asked for before are over. */
  change<T>(run: () => Promise<T>): Promise<T> {
    const change = this.#lastChange.then(run)
    this.#lastChange = change.catch(() => {})
    return change
  }

  /** Stops seats for ever, having others take over their work, and removes them. Resolves when they are gone. */
  async remove(ids: readonly string[]): Promise<void> {
    const seats = ids.map((id) => this.#get(id, 'scale'))
    // All of them before the first is asked to go: none is to hand over to another that goes, too.
    for (const seat of seats) seat.announceStop()
    const stopped = seats.map(async (seat) => {
      const name = JSON.stringify(seat.spec.id)
      const reason = new HubError('ERR_HUB_MEMBER_EXITED', `Worker ${name} was removed by hub.scale().`)
      await seat.stop(reason, undefined, true)
      // It was started again meanwhile: that comes too late.
      await seat.kill(reason, false)
    })
    await Promise.all(stopped)
    if (!this.#closed) for (const seat of seats) this.#forget(seat)
  }

  /** Whether a process of that number would take the seat by becoming ready. */
  mayBecomeReady(id: string, incarnation: number): boolean {
    return this.#seats.get(id)?.mayBecomeReady(incarnation) === true
  }

  /** That process has declared itself ready. */
  markReady(id: string, incarnation: number): void {
    this.#seats.get(id)?.markReady(incarnation)
  }

  /** Something came from that process. */
  sawLife(id: string, incarnation: number): void {
    this.#seats.get(id)?.sawLife(incarnation)
  }

  /** That process has left by itself. Its exit will be judged like any. */
  left(id: string, incarnation: number): void {
    this.#seats.get(id)?.left(incarnation)
  }

  /** Stops a seat for good, or until `restart`: asks, waits for `gracePeriod`, then kills. Resolves when it is down. */
  async stop(id: string): Promise<void> {
    const name = JSON.stringify(id)
    const reason = new HubError(
      'ERR_HUB_MEMBER_EXITED',
      `Worker ${name} was stopped before it was ready. Start it again with hub.restart(${name}).`,
    )
    await this.#get(id, 'stop').stop(reason)
  }

  /**
   * Stops a seat and starts it again, with its history of failures forgotten. Resolves when the new process is ready.
   * @throws {HubError} `ERR_HUB_MEMBER_EXITED` or `ERR_HUB_TIMEOUT` when it fails before that; the policy goes on
   */
  async restart(id: string): Promise<void> {
    const seat = this.#get(id, 'restart')
    this.#refuseClosed(`hub.restart(${JSON.stringify(id)})`)
    await seat.restart()
  }

  /**
   * Stops all seats at once, for ever, each within its `gracePeriod` and all within so many milliseconds. Resolves with
   * whether none of them had to be killed.
   */
  close(within = Number.POSITIVE_INFINITY): Promise<boolean> {
    this.#closed = true
    this.#closing ??= Promise.all(
      [...this.#seats.values()].map((seat) => seat.stop(closedBeforeReady(seat), within)),
    ).then((clean) => clean.every(Boolean))
    return this.#closing
  }

  /** Kills every process, now. Resolves when all are gone. */
  async killAll(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#seats.values()].map((seat) => seat.kill(closedBeforeReady(seat))))
  }

  async #abandon(seats: readonly Seat[]): Promise<void> {
    // A hub that is being closed gives those that started their time; they need not be removed from it.
    if (this.#closed) {
      await Promise.all(seats.map((seat) => seat.stop(closedBeforeReady(seat))))
      return
    }
    const reason = new HubError(
      'ERR_HUB_MEMBER_EXITED',
      'A worker that was to be started together with it could not be started. Mend that one, and start both again.',
    )
    await Promise.all(seats.map((seat) => seat.kill(reason, false)))
    for (const seat of seats) this.#forget(seat)
  }

  #forget(seat: Seat): void {
    this.#seats.delete(seat.spec.id)
    this.#past.set(seat.spec.id, seat.lastIncarnation)
    this.#hooks.removed(seat.view)
  }

  #get(id: string, verb: string): Seat {
    const seat = this.#seats.get(id)
    if (seat !== undefined) return seat
    const known = [...this.#seats.keys()].map((one) => JSON.stringify(one)).join(', ')
    throw new HubError(
      'ERR_HUB_NO_MEMBER',
      `hub.${verb}(${JSON.stringify(id)}): no worker of this hub has that id. There are: ${known || 'none'}. ` +
        'Name it in the workers of startHub(), or hub.fork() it.',
    )
  }

  #refuseClosed(attempt: string): void {
    if (this.#closed) throw new HubError('ERR_HUB_CLOSED', `${attempt}: this hub is closed. Start another.`)
  }

  #checkRole(failed: Seat): void {
    const { id, role } = failed.spec
    const all = [...this.#seats.values()]
    const seats = role === undefined ? [failed] : all.filter((seat) => seat.spec.role === role)
    // A seat that was stopped is no help; that alone exhausts nothing, because this is asked when one gives up.
    const down = seats.every(({ state }) => state === 'given-up' || state === 'stopped')
    if (down)
      this.#hooks.exhausted(
        role ?? id,
        seats.map((seat) => seat.view),
      )
  }
}

function closedBeforeReady(seat: Seat): HubError {
  return new HubError(
    'ERR_HUB_CLOSED',
    `The hub was closed before worker ${JSON.stringify(seat.spec.id)} was ready. Await its start before you close the hub.`,
  )
}
