import type { HubError } from '../errors.js'
import { after, LONGEST_TIMER } from '../timers.js'
import type { MemberState } from '../types.js'
import { startFailure } from './failure.js'
import { plainExit, type SeatView, type SupervisorHooks } from './hooks.js'
import type { ResolvedSeat } from './options.js'
import { RestartPolicy } from './policy.js'
import { forkWorker, type WorkerExit, type WorkerProcess } from './process.js'
import { Watchdog } from './watchdog.js'

/** What follows the end of the process that sits there now. */
type Next = 'judge' | 'stay-down' | 'start-again'

interface Waiter {
  resolve(): void
  reject(error: Error): void
}

/** One seat: the processes that sit there one after the other, and its state. */
export class Seat {
  readonly spec: ResolvedSeat
  readonly #hooks: SupervisorHooks
  readonly #gaveUp: (seat: Seat) => void
  readonly #policy: RestartPolicy
  #state: MemberState = 'starting'
  #incarnation: number
  #process: WorkerProcess | undefined
  #next: Next = 'judge'
  /** Once ready, a seat is restarted by its policy; before that, whoever added it is told. */
  #proven = false
  /** The present process has said something: it has joined. */
  #heard = false
  #left = false
  #timedOut = false
  #windingDown = false
  #forced = false
  #endedByItself = false
  /** Why it was killed for good. */
  #condemned: HubError | undefined
  #readyTimer: NodeJS.Timeout | undefined
  #graceTimer: NodeJS.Timeout | undefined
  #backoffTimer: NodeJS.Timeout | undefined
  #watchdog: Watchdog | undefined
  /** Who waits for the seat to become ready. */
  #waiters: Waiter[] = []
  /** Who waits for the present process to end, and whether it needed to be killed. */
  #departures: ((clean: boolean) => void)[] = []

  /** @param incarnation That of the last process that sat under this id, 0 if there was none. */
  constructor(spec: ResolvedSeat, incarnation: number, hooks: SupervisorHooks, gaveUp: (seat: Seat) => void) {
    this.spec = spec
    this.#incarnation = incarnation
    this.#hooks = hooks
    this.#gaveUp = gaveUp
    this.#policy = new RestartPolicy(spec)
  }

  get view(): SeatView {
    return Object.freeze({
      id: this.spec.id,
      role: this.spec.role,
      spec: this.spec,
      incarnation: this.#incarnation,
      pid: this.#process?.pid,
      state: this.#state,
      ended: this.#endedByItself,
      returning: this.#state === 'restarting' || (this.#state === 'stopping' && this.#next === 'start-again'),
    })
  }

  get incarnation(): number {
    return this.#incarnation
  }

  get state(): MemberState {
    return this.#state
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
    if (this.#process === undefined) this.#spawn()
    else this.#windDown(this.#process)
    return ready
  }

  /** Resolves when no process is left, with whether it went without being killed. */
  stop(reason: HubError, within = this.spec.gracePeriod): Promise<boolean> {
    this.#next = 'stay-down'
    this.#rejectWaiters(reason)
    const process = this.#process
    if (process !== undefined) return this.#windDown(process, within)
    clearTimeout(this.#backoffTimer)
    if (this.#state !== 'given-up') this.#enter('stopped')
    return Promise.resolve(true)
  }

  /** As `stop`, but at once, and for ever. `forced`: a hub that is being closed is told that it had to be. */
  kill(reason: HubError, forced = true): Promise<boolean> {
    this.#condemned = reason
    const process = this.#process
    if (process === undefined) return this.stop(reason)
    this.#next = 'stay-down'
    this.#forced = forced
    this.#clearTimers()
    this.#rejectWaiters(reason)
    process.kill('SIGKILL')
    return this.#departure()
  }

  markReady(incarnation: number): void {
    const process = this.#process
    if (process === undefined || incarnation !== this.#incarnation || this.#state !== 'starting') return
    this.#heard = true
    this.#proven = true
    this.#policy.up()
    clearTimeout(this.#readyTimer)
    const { hungAfter } = this.spec
    if (hungAfter !== undefined) {
      this.#watchdog = new Watchdog(
        hungAfter,
        () => this.#hooks.ping(this.view),
        (silence) => {
          this.#hooks.lifecycle('hung', this.view, { silence: Math.round(silence) })
          process.kill('SIGKILL')
        },
      )
    }
    const waiters = this.#waiters.splice(0)
    this.#enter('ready')
    for (const waiter of waiters) waiter.resolve()
  }

  sawLife(incarnation: number): void {
    if (this.#process === undefined || incarnation !== this.#incarnation) return
    this.#watchdog?.life()
    if (this.#heard) return
    this.#heard = true
    if (this.#windingDown) this.#hooks.requestStop(this.view)
  }

  /** The member left by itself: it takes part in nothing any more, and ends when it likes. */
  left(incarnation: number): void {
    if (this.#process === undefined || incarnation !== this.#incarnation) return
    this.#left = true
    this.#watchdog?.stop()
    if (this.#state === 'ready') this.#enter('stopping')
  }

  #spawn(): void {
    this.#clearTimers()
    this.#incarnation++
    this.#next = 'judge'
    this.#heard = false
    this.#left = false
    this.#timedOut = false
    this.#windingDown = false
    this.#forced = false
    this.#endedByItself = false
    this.#state = 'starting'
    const process = forkWorker(this.spec, this.#incarnation)
    this.#process = process
    process.onexit = (exit) => this.#ended(process, exit)
    process.ondisconnect = () => {
      // Usually its exit follows at once. A process that lives on without a channel is of no use to anybody, unless it
      // has left the hub and does something of its own.
      if (!this.#left) this.#graceTimer ??= after(this.spec.gracePeriod, () => process.kill('SIGKILL'))
    }
    this.#readyTimer = after(this.spec.readyTimeout, () => {
      this.#timedOut = true
      process.kill('SIGKILL')
    })
    this.#hooks.spawned(this.view, process)
    // The hook may have asked for a stop.
    if (this.#state === 'starting') this.#hooks.changed(this.view)
  }

  #ended(process: WorkerProcess, exit: WorkerExit): void {
    this.#clearTimers()
    // What this hook asks for finds the process still there, and is looked at below.
    this.#hooks.exited(this.view, process, exit)
    this.#clearTimers()
    const departures = this.#departures.splice(0)
    const waiters = this.#next === 'judge' ? this.#waiters.splice(0) : []
    const failure = { timedOut: this.#timedOut, heard: this.#heard }
    const clean = !this.#forced
    this.#process = undefined
    if (this.#next === 'start-again') this.#spawn()
    else if (this.#next === 'judge' && this.#proven) this.#judge(exit)
    else this.#enter('stopped')
    for (const resolve of departures) resolve(clean)
    if (waiters.length === 0) return
    const error = startFailure(this.spec, exit, process.stderrTail, failure)
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

  #windDown(process: WorkerProcess, within = this.spec.gracePeriod): Promise<boolean> {
    const gone = this.#departure()
    if (this.#windingDown) return gone
    this.#windingDown = true
    this.#clearTimers()
    this.#graceTimer = after(Math.min(within, this.spec.gracePeriod), () => {
      this.#forced = true
      this.#hooks.overdue(this.view)
      process.kill('SIGKILL')
    })
    this.#enter('stopping')
    // Who has left, has lost its channel or has not joined yet does not hear the hub (cluster listens to 'message' itself,
    // so Node keeps none for later), nor does it hold signals for it. One that is just joining is asked in sawLife.
    if (process.connected && this.#heard && !this.#left) this.#hooks.requestStop(this.view)
    else process.kill('SIGTERM')
    return gone
  }

  #departure(): Promise<boolean> {
    return new Promise((resolve) => this.#departures.push(resolve))
  }

  #whenReady(): Promise<void> {
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  #rejectWaiters(error: Error): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
  }

  #enter(state: MemberState): void {
    if (this.#state === state) return
    this.#state = state
    this.#hooks.changed(this.view)
  }

  #clearTimers(): void {
    clearTimeout(this.#readyTimer)
    clearTimeout(this.#graceTimer)
    clearTimeout(this.#backoffTimer)
    this.#graceTimer = undefined
    this.#watchdog?.stop()
    this.#watchdog = undefined
  }
}
