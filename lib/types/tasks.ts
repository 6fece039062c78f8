import type { Contract, TaskInput, TaskName, TaskOutput } from '../contract.js'
import type { Sender } from './members.js'

/** What a task's handler is told beside its input. */
export interface TaskContext {
  /**
   * Aborted when the caller cancels, times out or goes away, and when the hub closes and its grace period is over. What
   * the handler then returns is dropped; until it has ended it takes room of its `concurrency`.
   */
  readonly signal: AbortSignal
  /** Who asks. */
  readonly from: Sender
  /** When the caller stops waiting: milliseconds since the epoch, `Infinity` if it waits for ever. */
  readonly deadline: number
}

/** How a task is served. */
export interface HandleOptions {
  /**
   * How many of these may run in this member at a time, over `request` and `delegate` together. What exceeds it waits
   * in the hub. @default Infinity
   */
  concurrency?: number
}

/** Does a task: returns its answer, or a promise of it. */
export type TaskHandler<C extends Contract, T extends TaskName<C>> = (
  input: TaskInput<C, T>,
  context: TaskContext,
) => TaskOutput<C, T> | Promise<TaskOutput<C, T>>

/** One entry of a `gather`, in the manner of `Promise.allSettled`. */
export type Gathered<T> =
  | { readonly id: string; readonly status: 'fulfilled'; readonly value: T }
  | { readonly id: string; readonly status: 'rejected'; readonly reason: Error & { readonly code?: string } }
