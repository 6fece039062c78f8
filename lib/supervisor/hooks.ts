import type { Exit, LifecycleEvents, MemberState } from '../types.js'
import type { ResolvedSeat } from './options.js'
import type { WorkerExit, WorkerProcess } from './process.js'

/** A seat as it is at this moment, or one process of it. A snapshot: it does not change under the reader. */
export interface SeatView {
  readonly id: string
  readonly role: string | undefined
  readonly spec: ResolvedSeat
  readonly incarnation: number
  readonly pid: number | undefined
  readonly state: MemberState
  /** It is stopped because its process ended by itself, and its `restart` wants no other. */
  readonly ended: boolean
  /** Another process follows this one. Tells a stop that is part of a restart from one for good. */
  readonly returning: boolean
}

/** The lifecycle events that supervision knows of. */
export type SupervisionEvent = 'restart' | 'give-up' | 'hung' | 'reload'

/** What such an event tells beside the member. */
export type LifecycleInfo<E extends SupervisionEvent> = Parameters<LifecycleEvents[E]>[1]

/**
 * What the supervisor tells, and asks of, whoever speaks with the workers. All are called synchronously, and may call the
 * supervisor back.
 */
export interface SupervisorHooks {
  /**
   * In the turn of the fork, before any message. Where the seat has a process already, this one takes over when it is
   * marked ready.
   */
  spawned(seat: SeatView, process: WorkerProcess): void
  /** The seat has another state. */
  changed(seat: SeatView): void
  /** The process is gone and all that it sent has been read. Before the state that follows from it. */
  exited(seat: SeatView, process: WorkerProcess, exit: WorkerExit): void
  /** The seat is no more: it could not be started. */
  removed(seat: SeatView): void
  /** Ask that incarnation to finish its work and leave. `handsOver`: another one is there for what can be handed over. */
  requestStop(seat: SeatView, handsOver: boolean): void
  /** It has not ended within its `gracePeriod`, and is killed. */
  overdue(seat: SeatView): void
  /** Provoke a message from the process, whose arrival the supervisor is told with `sawLife`. */
  ping(seat: SeatView): void
  lifecycle<E extends SupervisionEvent>(event: E, seat: SeatView, info: LifecycleInfo<E>): void
  /** Nobody is left in this role because its seats failed. A seat without a role counts as one of its own. */
  exhausted(name: string, seats: readonly SeatView[]): void
}

/** Only what travels: no message. */
export function plainExit({ code, signal }: WorkerExit): Exit {
  return { code, signal }
}
