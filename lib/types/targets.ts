import type { Contract, EventArgs, EventName, TaskArgs, TaskName, TaskOutput } from '../contract.js'
import type { Gathered } from './tasks.js'

/** A seat's id (`101` and `'101'` are one), several ids, or every member of a role. */
export type Target = string | number | readonly (string | number)[] | { readonly role: string }

/**
 * Immutable: each returns a new object and leaves its own as it was. They say how to ask; events know nothing of them.
 */
interface Operators {
  /**
   * How long to wait for an answer, in milliseconds; `Infinity` waits for ever. Then the call rejects with
   * `ERR_HUB_TIMEOUT`, and the handler's `signal` is aborted. @default the `timeout` of `startHub()`, 30000
   */
  timeout(ms: number): this
  /** When it is aborted, the call rejects with `ERR_HUB_ABORTED`, and the handler's `signal` is aborted. */
  signal(signal: AbortSignal): this
  /**
   * How often to send the task again when a member dies while working on it, from 0 to 255. Only for work that may run
   * twice. @default 0
   */
  retry(times: number): this
}

/** What can be sent an event. */
export interface Emits<C extends Contract> {
  /**
   * Sends an event to the target. Returns false when a queue towards it is over its mark: the event was accepted, but
   * slow down, and await `hub.drained(target)`. For a seat that is starting or restarting the hub holds it; for one
   * that was stopped or given up it is dropped.
   * @throws {HubError} `ERR_HUB_NO_MEMBER`, `ERR_HUB_PAYLOAD`, `ERR_HUB_CLOSED`, `ERR_INVALID_ARG_VALUE`
   */
  emit<E extends EventName<C>>(event: E, ...args: EventArgs<C, E>): boolean
}

interface Requests<C extends Contract> {
  /**
   * Asks this member to do a task. Settles exactly once: with its value, the handler's own error, or a `HubError`.
   * A member that is starting or restarting gets it when it is ready.
   *
   * Rejects with `ERR_HUB_TIMEOUT`, `ERR_HUB_ABORTED`, `ERR_HUB_NO_MEMBER`, `ERR_HUB_NO_HANDLER`,
   * `ERR_HUB_MEMBER_EXITED` (the task may have run), `ERR_HUB_OVERLOADED`, `ERR_HUB_PAYLOAD` or `ERR_HUB_CLOSED`.
   */
  request<T extends TaskName<C>>(task: T, ...input: TaskArgs<C, T>): Promise<TaskOutput<C, T>>
}

/** What can be given a task that the hub finds a member for. */
export interface Delegates<C extends Contract> {
  /**
   * Asks whichever member serves the task and has least outstanding; this one may be it. Where none has room, the task
   * waits in the hub. Settles as `request` does.
   */
  delegate<T extends TaskName<C>>(task: T, ...input: TaskArgs<C, T>): Promise<TaskOutput<C, T>>
}

interface Gathers<C extends Contract> {
  /**
   * Asks each member that the target names now, starting and stopped ones included. Never rejects for what a member
   * does: it resolves with the settled results and their ids, in the order of the targets, when all have settled.
   */
  gather<T extends TaskName<C>>(task: T, ...input: TaskArgs<C, T>): Promise<Gathered<TaskOutput<C, T>>[]>
}

/** One member: `hub.to('mailer')`. */
export interface MemberTarget<C extends Contract> extends Operators, Emits<C>, Requests<C>, Gathers<C> {}

/** Several members: `hub.to(['a', 'b'])`. */
export interface MembersTarget<C extends Contract> extends Operators, Emits<C>, Gathers<C> {}

/** Every member of a role: `hub.to({ role: 'web' })`. */
export interface RoleTarget<C extends Contract> extends Operators, Emits<C>, Delegates<C>, Gathers<C> {}

/** What can be told whom to send to, or to ask. */
export interface Addresses<C extends Contract> {
  /** Whom to send to, or to ask: one id, several ids, or `{ role }`. Looked up when something is sent. */
  to(id: string | number): MemberTarget<C>
  /** Several ids: to send to each, or to `gather` from each. Looked up when something is sent. */
  to(ids: readonly (string | number)[]): MembersTarget<C>
  /**
   * Every member of a role, to send to or to `gather` from; or any of them, to `delegate` to. Looked up when something is
   * sent.
   */
  to(role: { readonly role: string }): RoleTarget<C>
}

/** How to ask, said of the hub: `hub.timeout(5000).delegate(…)`, `hub.signal(signal).to('mailer').request(…)`. */
export interface AppliesOperators<C extends Contract> {
  /**
   * How long to wait for an answer, in milliseconds; `Infinity` waits for ever. Then the call rejects with
   * `ERR_HUB_TIMEOUT`, and the handler's `signal` is aborted. @default the `timeout` of `startHub()`, 30000
   */
  timeout(ms: number): Caller<C>
  /** When it is aborted, the call rejects with `ERR_HUB_ABORTED`, and the handler's `signal` is aborted. */
  signal(signal: AbortSignal): Caller<C>
  /**
   * How often to send the task again when a member dies while working on it, from 0 to 255. Only for work that may run
   * twice. @default 0
   */
  retry(times: number): Caller<C>
}

/** `hub.timeout(…)`, `hub.signal(…)`, `hub.retry(…)`: the hub with an operator applied. */
export interface Caller<C extends Contract> extends Operators, Addresses<C>, Delegates<C> {}
