import { after } from '../timers.js'
import type { Exit } from '../types.js'
import type { ResolvedSeat } from './options.js'
import { forkWorker, type WorkerExit, type WorkerProcess } from './process.js'
import { Watchdog } from './watchdog.js'

/** What the process of a seat has its seat know, and do. */
export interface IncarnationHooks {
  /** Once; the process is gone, and all that it sent has been read. */
  ended(incarnation: Incarnation, exit: WorkerExit): void
  /** Ask it to finish its work and leave; or first to hand over what it holds. */
  requestStop(incarnation: Incarnation, handsOver: boolean): void
  /** It has not ended within its `gracePeriod`, and is killed. */
  overdue(incarnation: Incarnation): void
  /** Its event loop has not turned for `hungAfter`, and it is killed. */
  hung(incarnation: Incarnation, silence: number): void
  ping(incarnation: Incarnation): void
}

/** One process of a seat, from its fork to its end, and how long it may take for what. */
export class Incarnation {
  readonly number: number
  readonly process: WorkerProcess
  /** It has said something: it has joined. */
  heard = false
  /** It takes part in nothing any more, and ends when it likes. */
  left = false
  /** It was not ready in time. */
  timedOut = false
  /** It had to be killed. */
  forced = false
  /** How it ended. */
  exit: Exit | undefined
  readonly #spec: ResolvedSeat
  readonly #hooks: IncarnationHooks
  /** Whether it has been asked to end, and how. */
  #winding: 'no' | 'handing-over' | 'stopping' = 'no'
  #readyTimer: NodeJS.Timeout | undefined
  #graceTimer: NodeJS.Timeout | undefined
  #watchdog: Watchdog | undefined
  /** Who waits for it to end, and whether it needed to be killed. */
  #departures: ((clean: boolean) => void)[] = []

  constructor(spec: ResolvedSeat, number: number, hooks: IncarnationHooks) {
    this.#spec = spec
    this.number = number
    this.#hooks = hooks
    const process = forkWorker(spec, number)
    this.process = process
    process.onexit = (exit) => {
      this.#clearTimers()
      hooks.ended(this, exit)
    }
    process.ondisconnect = () => {
      // Usually its exit follows at once. A process that lives on without a channel is of no use to anybody, unless it
      // has left the hub and does something of its own.
      if (!this.left) this.#graceTimer ??= after(spec.gracePeriod, () => process.kill('SIGKILL'))
    }
    this.#readyTimer = after(spec.readyTimeout, () => {
      this.timedOut = true
      process.kill('SIGKILL')
    })
  }

  becameReady(): void {
    this.heard = true
    clearTimeout(this.#readyTimer)
    const { hungAfter } = this.#spec
    if (hungAfter === undefined) return
    this.#watchdog = new Watchdog(
      hungAfter,
      () => this.#hooks.ping(this),
      (silence) => {
        this.#hooks.hung(this, silence)
        this.process.kill('SIGKILL')
      },
    )
  }

  sawLife(): void {
    this.#watchdog?.life()
    if (this.heard) return
    this.heard = true
    if (this.#winding !== 'no') this.#hooks.requestStop(this, false)
  }

  leave(): void {
    this.left = true
    this.#watchdog?.stop()
  }

  /**
   * Asks it to end, and kills it when it does not. One that hands over may still be asked to be quick about it. Resolves
   * when it is gone, with whether it went without being killed. `begin` is called before it is asked.
   */
  windDown(within: number, handsOver: boolean, begin?: () => void): Promise<boolean> {
    const gone = this.departure()
    if (this.#winding === 'stopping' || (this.#winding === 'handing-over' && handsOver)) return gone
    this.#winding = handsOver ? 'handing-over' : 'stopping'
    this.#clearTimers()
    this.#graceTimer = after(Math.min(within, this.#spec.gracePeriod), () => {
      this.forced = true
      this.#hooks.overdue(this)
      this.process.kill('SIGKILL')
    })
    begin?.()
    // Who has left, has lost its channel or has not joined yet does not hear the hub (cluster listens to 'message' itself,
    // so Node keeps none for later), nor does it hold signals for it. One that is just joining is asked in sawLife.
    if (this.process.connected && this.heard && !this.left) this.#hooks.requestStop(this, handsOver)
    else this.process.kill('SIGTERM')
    return gone
  }

  /** `forced`: whoever waits is told that it had to be. */
  kill(forced: boolean): Promise<boolean> {
    this.forced = forced
    this.#clearTimers()
    this.process.kill('SIGKILL')
    return this.departure()
  }

  departure(): Promise<boolean> {
    return new Promise((resolve) => this.#departures.push(resolve))
  }

  /** To be called when its end has been told, and followed: who waits for it is told, too. */
  depart(exit: Exit): void {
    this.exit = exit
    this.#clearTimers()
    for (const resolve of this.#departures.splice(0)) resolve(!this.forced)
  }

  #clearTimers(): void {
    clearTimeout(this.#readyTimer)
    clearTimeout(this.#graceTimer)
    this.#graceTimer = undefined
    this.#watchdog?.stop()
    this.#watchdog = undefined
  }
}
