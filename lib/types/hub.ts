import type { Contract, EventArgs, EventName, EventsOf, LocalEvents, TaskName, UntypedContract } from '../contract.js'
import type { HttpServer, Listening, ListenOptions, ServeOptions } from './http.js'
import type { Lifecycle, Member, Sender } from './members.js'
import type { HubStats } from './stats.js'
import type { Addresses, AppliesOperators, Delegates, Emits, Target } from './targets.js'
import type { HandleOptions, TaskHandler } from './tasks.js'
import type { ReloadOptions, WorkerSpec } from './workers.js'

type AllEvents<C extends Contract> = EventsOf<C> & Omit<LocalEvents, keyof EventsOf<C>>

/** A listener for all events. `from` is who sent it. */
export type AnyListener<C extends Contract> = (
  event: EventName<C>,
  args: EventArgs<C, EventName<C>>,
  context: { readonly from: Sender },
) => void

/** The messaging API, the same in the primary and in the workers. */
export interface Hub<C extends Contract = UntypedContract>
  extends AppliesOperators<C>,
    Emits<C>,
    Delegates<C>,
    Addresses<C> {
  /** This member's id; the primary's is `'primary'`. */
  readonly id: string
  /** This member's role, if it has one. */
  readonly role: string | undefined
  /**
   * Everybody on the hub, this member included, and seats whose process is gone. A snapshot: read it again for news.
   */
  readonly members: readonly Member[]
  /** Tells in every member what happens to the others: joins, leaves, restarts. */
  readonly lifecycle: Lifecycle

  /**
   * Never fits a call. It is here for event maps with an `error`, which a hub keeps local and typed-emitter does not:
   * with it a hub of such a map is assignable to its emitter, too. Before the other, whose complaints are shown.
   */
  emit<E extends keyof EventsOf<C>>(event: E, local: never, ...args: never[]): boolean
  /**
   * Sends an event to every member, this one included. Returns false when a queue towards one of them is over its mark:
   * the event was accepted, but slow down, and await `hub.drained()`. Listeners of this member are called later, too,
   * with a copy of the arguments.
   * @throws {HubError} `ERR_HUB_PAYLOAD`, `ERR_HUB_CLOSED`, `ERR_INVALID_ARG_VALUE`
   */
  emit<E extends EventName<C>>(event: E, ...args: EventArgs<C, E>): boolean

  /** Subscribes this member. As all methods of an `EventEmitter` but `emit` it acts locally; the hub is told. */
  on<E extends keyof AllEvents<C>>(event: E, listener: AllEvents<C>[E]): this
  /** Subscribes this member to the next one. */
  once<E extends keyof AllEvents<C>>(event: E, listener: AllEvents<C>[E]): this
  /** Undoes one `on` or `once` of this listener. */
  off<E extends keyof AllEvents<C>>(event: E, listener: AllEvents<C>[E]): this
  /** The same as `on`. */
  addListener<E extends keyof AllEvents<C>>(event: E, listener: AllEvents<C>[E]): this
  /** As `on`, but before the listeners that are there. */
  prependListener<E extends keyof AllEvents<C>>(event: E, listener: AllEvents<C>[E]): this
  /** As `once`, but before the listeners that are there. */
  prependOnceListener<E extends keyof AllEvents<C>>(event: E, listener: AllEvents<C>[E]): this
  /** The same as `off`. */
  removeListener<E extends keyof AllEvents<C>>(event: E, listener: AllEvents<C>[E]): this
  /** Removes the listeners of an event, or of all. */
  removeAllListeners<E extends keyof AllEvents<C>>(event?: E): this
  /** The events that have listeners in this process. */
  eventNames(): (keyof AllEvents<C> | string | symbol)[]
  /** The listeners of an event, with the wrappers that `once` put around them. */
  rawListeners<E extends keyof AllEvents<C>>(event: E): AllEvents<C>[E][]
  /** The listeners of an event in this process. */
  listeners<E extends keyof AllEvents<C>>(event: E): AllEvents<C>[E][]
  /** How many listeners an event has in this process. */
  listenerCount<E extends keyof AllEvents<C>>(event: E): number
  /** Above how many listeners of one event Node warns of a leak. */
  getMaxListeners(): number
  /** Sets above how many listeners of one event Node warns of a leak; 0 for never. */
  setMaxListeners(count: number): this

  /**
   * Calls the listener for every event that is sent to this member, whatever its name. Counts as listening to them all.
   */
  onAny(listener: AnyListener<C>): this
  /** Undoes one `onAny` of this listener. */
  offAny(listener: AnyListener<C>): this

  /** Sends an event to every member but this one. Returns and throws as `emit` does. */
  broadcast<E extends EventName<C>>(event: E, ...args: EventArgs<C, E>): boolean

  /**
   * Serves a task. Returns a function that stops serving it; tasks that run, or are on their way here, go on. What the
   * handler returns, or its promise resolves to, is the answer; what it throws arrives at the caller as its own error.
   * @throws {HubError} `ERR_INVALID_ARG_VALUE` when this member serves it already; `ERR_HUB_CLOSED`
   */
  handle<T extends TaskName<C>>(task: T, handler: TaskHandler<C, T>, options?: HandleOptions): () => void

  /**
   * Resolves when all that was sent before has reached the hub, and the queues towards the target (default: everybody)
   * are under their marks. A slow member holds nobody back. Rejects with `ERR_HUB_NO_MEMBER` or `ERR_HUB_CLOSED`.
   */
  drained(target?: Target): Promise<void>
  /**
   * Declares this member ready to be sent messages: what was held for it arrives. Does nothing when it is already.
   * Without `ready: 'manual'` it is called one `setImmediate` after `startHub()` or `joinHub()` resolved.
   * @throws {HubError} `ERR_HUB_CLOSED`
   */
  ready(): void
  /**
   * Leaves the hub: running tasks are answered and accepted messages delivered, within `gracePeriod`. In the primary it
   * stops all workers first. The process goes on. Calling it again gives the same promise.
   */
  close(): Promise<void>
  /** What this member has sent, received and served, and what waits now. */
  stats(): HubStats
  /**
   * Serves the connections that `hub.listen()` accepts in the primary with this HTTP server, as if it had accepted them
   * itself. Do not call its `listen()`: it listens on a private socket, where the other members can reach it. It is
   * `listening` one turn later, and emits `'listening'` and `'error'` as usual. To stop serving, close the server.
   * @throws {HubError} `ERR_INVALID_ARG_VALUE` when it is no HTTP server, listens already, or this member serves another,
   * and for wrong options; `ERR_HUB_CLOSED`
   */
  serve<WebSocket extends object = object>(server: HttpServer, options?: ServeOptions<WebSocket>): void
}

/** The hub as the primary has it: it also looks after the workers. */
export interface PrimaryHub<C extends Contract = UntypedContract> extends Hub<C> {
  /**
   * Adds workers. Resolves when they are ready; rejects, and leaves nothing behind, when one cannot start:
   * `ERR_HUB_MEMBER_EXITED`, `ERR_HUB_TIMEOUT`, `ERR_INVALID_ARG_VALUE`.
   */
  fork(spec: WorkerSpec): Promise<readonly Member[]>
  /**
   * Stops a worker for good: it finishes its tasks, and is killed after `gracePeriod`. Its id stays taken. Resolves
   * when it is gone.
   */
  stop(id: string | number): Promise<void>
  /**
   * Stops a worker and starts it again, also one that was stopped or has given up; resolves when the new one is ready.
   */
  restart(id: string | number): Promise<void>
  /**
   * Exchanges workers for new processes, one after the other, from the files as they are now: a new process is started,
   * becomes ready and takes over; the old one hands over its connections, finishes its tasks, and ends, within
   * `gracePeriod`. Messages, tasks and connections never wait for that. Workers that were stopped stay so; those that
   * have none, or have given up, are started. Resolves, with the workers that it was for, when the last old process is
   * gone; `lifecycle` tells of each. Rejects when a new process does not become ready: the old one stays, and further
   * ones are not touched. `ERR_HUB_MEMBER_EXITED`, `ERR_HUB_TIMEOUT`, `ERR_HUB_NO_MEMBER`, `ERR_HUB_CLOSED`,
   * `ERR_INVALID_ARG_VALUE`.
   *
   * Reloads follow one another. One that has not begun serves all who ask for the same workers.
   */
  reload(options?: ReloadOptions): Promise<readonly Member[]>
  /**
   * Starts or removes workers of a role until it has so many. New ones are like those that the role was last given in
   * `startHub()` or `fork()`, numbered on; those with the highest numbers go: they hand over their connections to others
   * of the role, finish their tasks, and their ids are unknown from then on. Workers with ids of their own count, and
   * stay. Resolves with all workers of the role when the new ones are ready, or the old ones gone. Rejects with
   * `ERR_HUB_NO_MEMBER` for a role that was never named, and as `fork()` does.
   */
  scale(role: string, count: number): Promise<readonly Member[]>
  /**
   * Opens a port, and gives its connections to the workers that called `hub.serve()`, each to the one where its session
   * is. The primary reads no more of a connection than it takes to know that, then is out of its way. Resolves when the
   * port is open; rejects with Node's own error, such as `EADDRINUSE`, or with `ERR_INVALID_ARG_VALUE` or
   * `ERR_HUB_CLOSED`. `hub.close()` closes it.
   */
  listen(options: ListenOptions): Promise<Listening>
}

/** The hub as a worker has it. */
export type WorkerHub<C extends Contract = UntypedContract> = Hub<C>
