import type { Server as NodeHttpServer } from 'node:http'
import type { Server as NodeHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type {
  Contract,
  EventArgs,
  EventName,
  EventsOf,
  LocalEvents,
  TaskArgs,
  TaskInput,
  TaskName,
  TaskOutput,
} from './contract.js'

/**
 * `starting`: forked, not ready yet. `ready`: takes part. `restarting`: its process went away and another comes.
 * `stopping`: finishing its work. `stopped`: ended on purpose. `given-up`: failed too often to be restarted.
 */
export type MemberState = 'starting' | 'ready' | 'restarting' | 'stopping' | 'stopped' | 'given-up'

/** A process on the hub, or the seat of one. A snapshot: it does not change under the reader. */
export interface Member {
  /** The seat's name. Outlives its processes. `'primary'` is the hub's own process. */
  readonly id: string
  /** The name that it shares with interchangeable workers, if it has one. */
  readonly role: string | undefined
  /** Of the process that sits there now; `undefined` where none does. */
  readonly pid: number | undefined
  /** Counts the processes that have sat there, from 1; 0 before the first. */
  readonly incarnation: number
  readonly state: MemberState
}

/** Who sent a message. The hub says so, not the message: it cannot be forged. */
export interface Sender {
  readonly id: string
  readonly role: string | undefined
  /** Which process of the seat it was, from 1. */
  readonly incarnation: number
}

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

/** A seat's id (`101` and `'101'` are one), several ids, or every member of a role. */
export type Target = string | number | readonly (string | number)[] | { readonly role: string }

/** One entry of a `gather`, in the manner of `Promise.allSettled`. */
export type Gathered<T> =
  | { readonly id: string; readonly status: 'fulfilled'; readonly value: T }
  | { readonly id: string; readonly status: 'rejected'; readonly reason: Error & { readonly code?: string } }

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

interface Emits<C extends Contract> {
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

interface Delegates<C extends Contract> {
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

interface Addresses<C extends Contract> {
  /** Whom to send to, or to ask: one id, several ids, or `{ role }`. Looked up when something is sent. */
  to(id: string | number): MemberTarget<C>
  to(ids: readonly (string | number)[]): MembersTarget<C>
  to(role: { readonly role: string }): RoleTarget<C>
}

/** `hub.timeout(…)`, `hub.signal(…)`, `hub.retry(…)`: the hub with an operator applied. */
export interface Caller<C extends Contract> extends Operators, Addresses<C>, Delegates<C> {}

/** How a process ended. */
export interface Exit {
  readonly code: number | null
  readonly signal: string | null
}

/** What `hub.lifecycle` tells, in every member. */
export interface LifecycleEvents {
  /** A member became ready; after a restart, too. */
  join: (member: Member) => void
  /** The process of a member that had become ready is gone. */
  leave: (member: Member, exit: Exit) => void
  /** A member's process will be replaced, `delay` milliseconds from now; `attempt` counts from 1. */
  restart: (member: Member, info: { attempt: number; delay: number; exit: Exit }) => void
  /** A member failed too often in too short a time, and will not be restarted. */
  'give-up': (member: Member, info: { restarts: number; period: number; exit: Exit }) => void
  /** A member's event loop has not turned for `silence` milliseconds, its `hungAfter`: it is killed, and restarted. */
  hung: (member: Member, info: { silence: number }) => void
  /** A member has not taken its messages for `slowAfter`: its events are dropped, oldest first, until it drains. */
  slow: (member: Member, info: { queuedBytes: number }) => void
  /** Progress of a rolling reload. */
  reload: (member: Member, info: { phase: string }) => void
}

/** A typed emitter, which `events.once` and `events.on` take as well. */
export interface Lifecycle {
  on<E extends keyof LifecycleEvents>(event: E, listener: LifecycleEvents[E]): this
  once<E extends keyof LifecycleEvents>(event: E, listener: LifecycleEvents[E]): this
  off<E extends keyof LifecycleEvents>(event: E, listener: LifecycleEvents[E]): this
  addListener<E extends keyof LifecycleEvents>(event: E, listener: LifecycleEvents[E]): this
  prependListener<E extends keyof LifecycleEvents>(event: E, listener: LifecycleEvents[E]): this
  prependOnceListener<E extends keyof LifecycleEvents>(event: E, listener: LifecycleEvents[E]): this
  removeListener<E extends keyof LifecycleEvents>(event: E, listener: LifecycleEvents[E]): this
  removeAllListeners<E extends keyof LifecycleEvents>(event?: E): this
  /** There for `events.once` and `events.on`, which want a whole emitter. Only the hub tells: nothing fits. */
  emit(event: never): boolean
  eventNames(): (keyof LifecycleEvents | string | symbol)[]
  rawListeners<E extends keyof LifecycleEvents>(event: E): LifecycleEvents[E][]
  listeners<E extends keyof LifecycleEvents>(event: E): LifecycleEvents[E][]
  listenerCount<E extends keyof LifecycleEvents>(event: E): number
  getMaxListeners(): number
  setMaxListeners(count: number): this
}

type AllEvents<C extends Contract> = EventsOf<C> & Omit<LocalEvents, keyof EventsOf<C>>

/** The messaging API, the same in the primary and in the workers. */
export interface Hub<C extends Contract = import('./contract.js').UntypedContract>
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
  once<E extends keyof AllEvents<C>>(event: E, listener: AllEvents<C>[E]): this
  off<E extends keyof AllEvents<C>>(event: E, listener: AllEvents<C>[E]): this
  addListener<E extends keyof AllEvents<C>>(event: E, listener: AllEvents<C>[E]): this
  prependListener<E extends keyof AllEvents<C>>(event: E, listener: AllEvents<C>[E]): this
  prependOnceListener<E extends keyof AllEvents<C>>(event: E, listener: AllEvents<C>[E]): this
  removeListener<E extends keyof AllEvents<C>>(event: E, listener: AllEvents<C>[E]): this
  removeAllListeners<E extends keyof AllEvents<C>>(event?: E): this
  eventNames(): (keyof AllEvents<C> | string | symbol)[]
  rawListeners<E extends keyof AllEvents<C>>(event: E): AllEvents<C>[E][]
  listeners<E extends keyof AllEvents<C>>(event: E): AllEvents<C>[E][]
  listenerCount<E extends keyof AllEvents<C>>(event: E): number
  getMaxListeners(): number
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
   * @throws {HubError} `ERR_INVALID_ARG_VALUE` when it is no HTTP server, listens already, or this member serves another;
   * `ERR_HUB_CLOSED`
   */
  serve(server: HttpServer): void
}

/** What `http.createServer()` or `https.createServer()` returns. */
export type HttpServer = NodeHttpServer | NodeHttpsServer

/**
 * How connections find their workers. `socket.io`: by the session id in requests below `path`. `ip`: by the client's
 * address. `header`: by the address in a header that a proxy of yours sets. `cookie`: by the session id, or else the
 * value, of a cookie. `false`: to the worker with fewest connections, as is done with all that belong nowhere.
 */
export type Sticky =
  | 'socket.io'
  | 'ip'
  | { readonly header: string; readonly cookie?: never }
  | { readonly cookie: string; readonly header?: never }
  | false

/** The options of `hub.listen()`. */
export interface ListenOptions {
  /** 0 takes any that is free: `address()` tells which. */
  port: number
  /** The address to listen on. @default all of this machine */
  host?: string
  /** Only workers of this role get these connections. @default all that called `hub.serve()` */
  role?: string
  /** How connections find their workers. @default 'socket.io' */
  sticky?: Sticky
  /** Only requests below it have a session id: the path of your Socket.IO server. @default '/socket.io/' */
  path?: string
  /** Connections that may wait in the kernel to be accepted. @default 511 */
  backlog?: number
  /**
   * Bytes that a request line may have, or the head where that is read; beyond, the answer is 431. @default 16384, 16 KiB
   */
  maxRequestLine?: number
  /**
   * How long the request line, or the head, may take, in milliseconds; then the answer is 408, or none where nothing was
   * ever sent. @default 10000
   */
  headTimeout?: number
  /** Connections that may wait until a worker takes them; beyond, the answer is 503. @default 10000 */
  maxWaiting?: number
  /** How long a connection may wait until a worker takes it, in milliseconds; then the answer is 503. @default 10000 */
  waitTimeout?: number
}

/** An open port. */
export interface Listening {
  /**
   * Where it listens.
   * @throws {HubError} `ERR_HUB_CLOSED`
   */
  address(): AddressInfo
  /**
   * Accepts nothing any more; whoever waits is answered 503. Connections that workers have taken go on. Resolves when the
   * port is free.
   */
  close(): Promise<void>
}

interface AppliesOperators<C extends Contract> {
  /** See `Caller`. */
  timeout(ms: number): Caller<C>
  signal(signal: AbortSignal): Caller<C>
  retry(times: number): Caller<C>
}

/** Does a task: returns its answer, or a promise of it. */
export type TaskHandler<C extends Contract, T extends TaskName<C>> = (
  input: TaskInput<C, T>,
  context: TaskContext,
) => TaskOutput<C, T> | Promise<TaskOutput<C, T>>

/** A listener for all events. `from` is who sent it. */
export type AnyListener<C extends Contract> = (
  event: EventName<C>,
  args: EventArgs<C, EventName<C>>,
  context: { readonly from: Sender },
) => void

/** Counters since the start of this member, and gauges of what waits now. */
export interface HubStats {
  /** Bytes (UTF-16 units of text, and attachments) that wait here to be sent. */
  readonly queuedBytes: number
  /** Requests and delegations of this member that wait for an answer. */
  readonly pendingCalls: number
  /** Tasks that run in this member now. */
  readonly runningTasks: number
  /** Calls of `emit` and `broadcast` that were accepted, however many members they were for. */
  readonly eventsSent: number
  /** Events that arrived here, refused ones included. */
  readonly eventsReceived: number
  /** Tasks that were given to a handler of this member. */
  readonly tasksServed: number
  /** Events, inputs and answers that a schema of this member refused on arrival. */
  readonly refusedPayloads: number
  /** What the hub knows of each member's link. Only in the primary. */
  readonly links?: readonly LinkStats[]
  /** What the hub knows of HTTP connections. Only in the primary. */
  readonly http?: HttpStats
}

/** Connections that came in at `hub.listen()`. */
export interface HttpStats {
  /** Those who serve them. */
  readonly workers: readonly HttpWorkerStats[]
  /** Connections that wait because nobody is there to take them. */
  readonly waiting: number
  /** Connections that members have taken, each time that one has. */
  readonly routed: number
  /** Connections that went to another member than was meant first: it died, did not take them, or passed them on. */
  readonly rerouted: number
  /** Connections that were answered 503. */
  readonly rejected: number
}

/** One member that serves HTTP. */
export interface HttpWorkerStats {
  readonly id: string
  readonly incarnation: number
  /** Open there, or on their way. */
  readonly connections: number
  /** Of these, those that wait in the hub. */
  readonly queued: number
  /** It has not taken the last one for a second: it gets no more until it does. */
  readonly wedged: boolean
}

/** What the hub knows of one member's link. */
export interface LinkStats {
  readonly id: string
  readonly incarnation: number
  readonly state: MemberState
  /** Bytes that wait in the hub to be sent there, what is held included. */
  readonly queuedBytes: number
  /** Messages held until the member is ready. */
  readonly held: number
  /** Tasks that wait in the hub for this member's handlers. */
  readonly queuedTasks: number
  /** Tasks that the hub has given to it, and that are not answered yet. */
  readonly runningTasks: number
  /** Events dropped because the link was slow, the hold was full, or nobody listens any more. */
  readonly droppedEvents: number
  /** Frames that this member had no right or no sense to send. */
  readonly protocolErrors: number
  /** Over its mark for `slowAfter`, or over `maxQueueBytes`: its events are dropped until it has drained. */
  readonly slow: boolean
}

/** Which exits are followed by a restart; `on-failure`: a code other than 0, or a signal. */
export type RestartKind = 'always' | 'on-failure' | 'never'

/** Supervision of a seat. Each may be set for all workers in `startHub`, and for one in its spec. */
export interface SupervisionOptions {
  /** Which exits are followed by a restart. `on-failure`: a code other than 0, or a signal. @default 'always' */
  restart?: RestartKind
  /** More than `restarts` in `period` milliseconds, and the seat gives up. @default { restarts: 5, period: 60000 } */
  intensity?: { restarts: number; period: number }
  /**
   * Delay before a restart: doubles from `min` to `max` milliseconds, with jitter. @default { min: 100, max: 10000 }
   */
  backoff?: { min: number; max: number }
  /**
   * A worker whose event loop does not turn for so many milliseconds is killed, and restarted. Choose it well above the
   * time that your longest synchronous work takes, the listeners of a full batch of events included. @default undefined
   */
  hungAfter?: number
  /** How long a worker has to become ready, in milliseconds. @default 30000 */
  readyTimeout?: number
  /**
   * How long a worker has to finish its work when it is stopped, in milliseconds, before it is killed. @default 10000
   */
  gracePeriod?: number
  /** `tail`: stderr passes through, its last 4 KiB kept for error messages. `inherit`: untouched. @default 'tail' */
  stderr?: 'tail' | 'inherit'
}

interface WorkerSource extends SupervisionOptions {
  /**
   * The file to run. A string is resolved against the working directory, as cluster does. @default the current entry
   * file
   */
  exec?: string | URL
  /** The arguments of its command line. @default those of the primary */
  args?: readonly string[]
  /** The options of Node.js for it. @default those of the primary */
  execArgv?: readonly string[]
  /** Added to the primary's own environment; `undefined` takes a variable away. */
  env?: Readonly<Record<string, string | undefined>>
}

/** A worker with an id of its own, perhaps in a role. */
export interface SeatSpec extends WorkerSource {
  /** Unique, not empty, not `'primary'`, without control characters, of at most 255; `101` and `'101'` are one. */
  id: string | number
  /** Makes it one of `hub.to({ role })`. */
  role?: string
  count?: undefined
}

/** Interchangeable workers: `{ role: 'web', count: 2 }` makes `web-1` and `web-2`. */
export interface RoleSpec extends WorkerSource {
  role: string
  /** How many. @default 1 */
  count?: number
  id?: undefined
}

/** A worker, or several of a role. */
export type WorkerSpec = SeatSpec | RoleSpec

/** The hub as the primary has it: it also looks after the workers. */
export interface PrimaryHub<C extends Contract = import('./contract.js').UntypedContract> extends Hub<C> {
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
   * Opens a port, and gives its connections to the workers that called `hub.serve()`, each to the one where its session
   * is. The primary reads no more of a connection than it takes to know that, then is out of its way. Resolves when the
   * port is open; rejects with Node's own error, such as `EADDRINUSE`, or with `ERR_INVALID_ARG_VALUE` or
   * `ERR_HUB_CLOSED`. `hub.close()` closes it.
   */
  listen(options: ListenOptions): Promise<Listening>
}

/** The hub as a worker has it. */
export type WorkerHub<C extends Contract = import('./contract.js').UntypedContract> = Hub<C>
