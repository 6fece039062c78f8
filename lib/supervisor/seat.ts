import type { HubError } from '../errors.js'
import { after, LONGEST_TIMER } from '../timers.js'
import type { Exit, MemberState } from '../types.js'
import { startFailure } from './failure.js'
import { plainExit, type SeatView, type SupervisorHooks } from './hooks.js'
import { Incarnation, type IncarnationHooks } from './incarnation.js'
import type { ResolvedSeat } from './options.js'
import { RestartPolicy } from './policy.js'
import type { WorkerExit } from './process.js'

/** What follows the end of the process that sits there now. */
type Next = 'judge' | 'stay-down' | 'start-again'

interface Waiter {
  resolve(): void
  reject(error: Error): void
}

/** What becomes of a reload of one seat. */
export interface SeatReloadHooks {
  /** The next process has been forked. */
  starting(from: number, to: number): void
  /** It is ready, and has taken over; the one before it drains. */
  draining(from: number, to: number): void
}

/** One seat: the processes that sit there one after the other, or for a while side by side, and its state. */
export class Seat {
  readonly spec: ResolvedSeat
  readonly #hooks: SupervisorHooks
  readonly #gaveUp: (seat: Seat) => void
  readonly #policy: RestartPolicy
  readonly #events: IncarnationHooks
  #state: MemberState = 'starting'
  /** That of the process that sits here, or sat here last. */
  #incarnation: number
  /** The last that was given out. */
  #lastIncarnation: number
  #current: Incarnation | undefined
  /** Takes over once it is ready. */
  #successor: Incarnation | undefined
  /** Who waits for it to do so. */
  #succession: Waiter | undefined
  /** Those that have been succeeded, and have not ended yet. */
  readonly #leaving = new Set<Incarnation>()
  #next: Next = 'judge'
  /** Once ready, a seat is restarted by its policy; before that, whoever added it is told. */
  #proven = false
  #endedByItself = false
  /** Why it was killed for good. */
  #condemned: HubError | undefined
  #backoffTimer: NodeJS.Timeout | undefined
  /** Who waits for the seat to become ready. */
  #waiters: Waiter[] = []

  /** @param incarnation That of the last process that sat under this id, 0 if there was none. */
  constructor(spec: ResolvedSeat, incarnation: number, hooks: SupervisorHooks, gaveUp: (seat: Seat) => void) {
    this.spec = spec
    this.#incarnation = incarnation
    this.#lastIncarnation = incarnation
    this.#hooks = hooks
    this.#gaveUp = gaveUp
    this.#policy = new RestartPolicy(spec)
    this.#events = {
      ended: (ended, exit) => this.#ended(ended, exit),
      requestStop: (asked, handsOver) => hooks.requestStop(this.#viewOf(asked), handsOver),
      overdue: (killed) => hooks.overdue(this.#viewOf(killed)),
      hung: (killed, silence) => hooks.lifecycle('hung', this.#viewOf(killed), { silence: Math.round(silence) }),
      ping: (asked) => hooks.ping(this.#viewOf(asked)),
    }
  }

  get view(): SeatView {
    return Object.freeze({
      id: this.spec.id,
      role: this.spec.role,
      spec: this.spec,
      incarnation: this.#incarnation,
      pid: this.#current?.process.pid,
      state: this.#state,
      ended: this.#endedByItself,
      returning: this.#state === 'restarting' || (this.#state === 'stopping' && this.#next === 'start-again'),
    })
  }

  /** Of the last process that was started. */
  get lastIncarnation(): number {
    return this.#lastIncarnation
  }

  get state(): MemberState {
    return this.#state
  }

  /** It is down, or about to be, because somebody wants it so. */
  get staysDown(): boolean {
    return this.#state === 'stopped' || (this.#state === 'stopping' && this.#next === 'stay-down')
  }

  /** Whether a process of that number would take the seat by becoming ready. */
  mayBecomeReady(incarnation: number): boolean {
    if (this.#successor?.number === incarnation) return true
    return this.#state === 'starting' && this.#current?.number === incarnation
  }

  /** Starts the first process. Resolves when the seat is ready. */
  start(): Promise<void> {
    const ready = this.#whenReady()
    this.#spawn()
    return ready
  }

  /** Stops the process if there is one, then starts another. Resolves when the seat is ready. */
  restart(): Promise<void> {
    if (this.#condemned !== undefined) return Promise.reject(this.#condemned)
    const ready = this.#whenReady()
    this.#policy.reset()
    this.#next = 'start-again'
    // A reload that is under way gets what it wants, in a rougher manner.
    if (this.#succession) this.#waiters.push(this.#succession)
    this.#dismissSuccessor(this.spec.gracePeriod)
    if (this.#current === undefined) this.#spawn()
    else this.#windDown(this.#current)
    return ready
  }

  /**
   * Starts another process beside the present one, which goes when that one is ready. Resolves when it is gone. Where no
   * process is ready that could go on meanwhile, it is a restart; a seat that stays down is left alone. Returns how the
   * process that went has ended; undefined where there was none.
   */
  async reload(hooks: SeatReloadHooks): Promise<Exit | undefined> {
    // It may have been forked before the files changed.
    if (this.#state === 'starting') await this.#whenReady()
    if (this.#condemned !== undefined) throw this.#condemned
    if (this.staysDown) return undefined
    const before = this.#current
    if (this.#state !== 'ready' || before === undefined) {
      hooks.starting(this.#incarnation, this.#lastIncarnation + 1)
      await (this.#state === 'stopping' && this.#next === 'start-again' ? this.#whenReady() : this.restart())
      return undefined
    }
    let exit: Exit | undefined
    const gone = before.departure().then(() => {
      exit = before.exit
    })
    const succeeded = new Promise<void>((resolve, reject) => {
      this.#succession = { resolve, reject }
    })
    // Whatever follows from the fork may end it in this turn.
    succeeded.catch(() => {})
    const successor = this.#fork()
    this.#successor = successor
    this.#hooks.spawned(this.#viewOf(successor), successor.process)
    hooks.starting(before.number, successor.number)
    await succeeded
    hooks.draining(before.number, this.#incarnation)
    await gone
    return exit
  }

  /** It is about to be stopped: nobody is to hand over to it. */
  announceStop(): void {
    if (this.#state === 'ready') this.#enter('stopping')
  }

  /** Resolves when no process is left, with whether all went without being killed. `handsOver`: others take its work. */
  async stop(reason: HubError, within = this.spec.gracePeriod, handsOver = false): Promise<boolean> {
    this.#next = 'stay-down'
    this.#rejectWaiters(reason)
    const gone = [...this.#leaving].map((incarnation) => incarnation.windDown(within, false))
    const dismissed = this.#dismissSuccessor(within)
    if (dismissed) gone.push(dismissed)
    if (this.#current !== undefined) {
      gone.push(this.#windDown(this.#current, within, handsOver))
    } else {
      clearTimeout(this.#backoffTimer)
      if (this.#state !== 'given-up') this.#enter('stopped')
    }
    return (await Promise.all(gone)).every(Boolean)
  }

  /** As `stop`, but at once, and for ever. `forced`: a hub that is being closed is told that it had to be. */
  async kill(reason: HubError, forced = true): Promise<boolean> {
    this.#condemned = reason
    const processes = [...this.#leaving]
    if (this.#successor) processes.push(this.#successor)
    if (this.#current) processes.push(this.#current)
    else this.stop(reason)
    this.#next = 'stay-down'
    clearTimeout(this.#backoffTimer)
    this.#rejectWaiters(reason)
    return (await Promise.all(processes.map((one) => one.kill(forced)))).every(Boolean)
  }

  markReady(incarnation: number): void {
    if (!this.mayBecomeReady(incarnation)) return
    const successor = this.#successor
    const before = this.#current
    if (successor?.number !== incarnation) {
      before?.becameReady()
      this.#becameReady()
      return
    }
    successor.becameReady()
    this.#successor = undefined
    this.#current = successor
    this.#incarnation = incarnation
    this.#next = 'judge'
    // New code has a history of its own.
    this.#policy.reset()
    const succession = this.#succession
    this.#succession = undefined
    if (before) this.#leaving.add(before)
    this.#becameReady()
    succession?.resolve()
    before?.windDown(this.spec.gracePeriod, true)
  }

  sawLife(incarnation: number): void {
    this.#find(incarnation)?.sawLife()
  }

  /** The member left by itself: it takes part in nothing any more, and ends when it likes. */
  left(incarnation: number): void {
    const left = this.#find(incarnation)
    left?.leave()
    if (left !== undefined && left === this.#current && this.#state === 'ready') this.#enter('stopping')
  }

  #find(incarnation: number): Incarnation | undefined {
    const all = [this.#current, this.#successor, ...this.#leaving]
    return all.find((one) => one?.number === incarnation)
  }

  #viewOf(incarnation: Incarnation): SeatView {
    const { view } = this
    if (incarnation === this.#current) return view
    const state = incarnation === this.#successor ? 'starting' : 'stopping'
    return Object.freeze({ ...view, incarnation: incarnation.number, pid: incarnation.process.pid, state })
  }

  #fork(): Incarnation {
    this.#lastIncarnation++
    return new Incarnation(this.spec, this.#lastIncarnation, this.#events)
  }

  #spawn(): void {
    clearTimeout(this.#backoffTimer)
    const incarnation = this.#fork()
    this.#incarnation = incarnation.number
    this.#next = 'judge'
    this.#endedByItself = false
    this.#state = 'starting'
    this.#current = incarnation
    this.#hooks.spawned(this.view, incarnation.process)
    // The hook may have asked for a stop.
    if (this.#state === 'starting') this.#hooks.changed(this.view)
  }

  #becameReady(): void {
    this.#proven = true
    this.#policy.up()
    const waiters = this.#waiters.splice(0)
    this.#state = 'ready'
    this.#hooks.changed(this.view)
    for (const waiter of waiters) waiter.resolve()
  }

  #ended(ended: Incarnation, exit: WorkerExit): void {
    // What this hook asks for finds the process still there, and is looked at below.
    this.#hooks.exited(this.#viewOf(ended), ended.process, exit)
    if (ended === this.#current) this.#currentEnded(ended, exit)
    else if (ended === this.#successor) this.#successorEnded(ended, exit)
    else this.#leaving.delete(ended)
    ended.depart(plainExit(exit))
  }

  #successorEnded(ended: Incarnation, exit: WorkerExit): void {
    const succession = this.#succession
    this.#successor = undefined
    this.#succession = undefined
    succession?.reject(startFailure(this.spec, exit, ended.process.stderrTail, ended))
  }

  #currentEnded(ended: Incarnation, exit: WorkerExit): void {
    const successor = this.#successor
    if (this.#next === 'judge' && successor) {
      // It comes just in time, and is waited for as any that starts.
      this.#successor = undefined
      this.#current = successor
      this.#incarnation = successor.number
      if (this.#succession) this.#waiters.push(this.#succession)
      this.#succession = undefined
      this.#enter('starting')
      return
    }
    const waiters = this.#next === 'judge' ? this.#waiters.splice(0) : []
    this.#current = undefined
    if (this.#next === 'start-again') this.#spawn()
    else if (this.#next === 'judge' && this.#proven) this.#judge(exit)
    else this.#enter('stopped')
    if (waiters.length === 0) return
    const error = startFailure(this.spec, exit, ended.process.stderrTail, ended)
    for (const waiter of waiters) waiter.reject(error)
  }

  #judge(exit: WorkerExit): void {
    const verdict = this.#policy.exited(exit)
    if (verdict.action === 'stay-down') {
      this.#endedByItself = true
      this.#enter('stopped')
    } else if (verdict.action === 'restart') {
      const { attempt, delay } = verdict
      this.#backoffTimer = after(Math.min(delay, LONGEST_TIMER), () => this.#spawn())
      this.#enter('restarting')
      // Unless somebody who heard of it has decided otherwise.
      if (this.#state !== 'restarting') return
      this.#hooks.lifecycle('restart', this.view, { attempt, delay, exit: plainExit(exit) })
    } else {
      const { restarts, period } = verdict
      this.#enter('given-up')
      if (this.#state !== 'given-up') return
      this.#hooks.lifecycle('give-up', this.view, { restarts, period, exit: plainExit(exit) })
      if (this.#state === 'given-up') this.#gaveUp(this)
    }
  }

  #windDown(incarnation: Incarnation, within = this.spec.gracePeriod, handsOver = false): Promise<boolean> {
    return incarnation.windDown(within, handsOver, () => this.#enter('stopping'))
  }

  /** It has never been in service: nobody misses it. */
  #dismissSuccessor(within: number): Promise<boolean> | undefined {
    const successor = this.#successor
    this.#succession = undefined
    if (!successor) return undefined
    this.#successor = undefined
    this.#leaving.add(successor)
    return successor.windDown(within, false)
  }

  #whenReady(): Promise<void> {
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  #rejectWaiters(error: Error): void {
    this.#succession?.reject(error)
    this.#succession = undefined
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
  }

  #enter(state: MemberState): void {
    if (this.#state === state) return
    this.#state = state
    this.#hooks.changed(this.view)
  }
}
