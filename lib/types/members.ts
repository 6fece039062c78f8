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
  /** Where its process is, between fork and end. */
  readonly state: MemberState
}

/** Who sent a message. The hub says so, not the message: it cannot be forged. */
export interface Sender {
  /** The seat's id. */
  readonly id: string
  /** The seat's role, if it has one. */
  readonly role: string | undefined
  /** Which process of the seat it was, from 1. */
  readonly incarnation: number
}

/** How a process ended. */
export interface Exit {
  /** Its exit code; null when a signal ended it. */
  readonly code: number | null
  /** The signal that ended it, such as `'SIGKILL'`; null when it ended by itself. */
  readonly signal: string | null
}

/**
 * Which queue `slow` tells of. `link`: the hub's towards the member, which has not taken its messages for `slowAfter`, or
 * has more than `maxQueueBytes` to take: its events are dropped, oldest first. `held`: what is held for the member's seat
 * until it is ready. The hub's own, told of the primary: `tasks` that wait for a handler with room, `connections` that
 * wait for a worker, and packets and sessions kept for `recovery`, forgotten before their time. `outbox`: the member's own
 * towards the hub; told in that member alone, because nothing can be told beyond it.
 */
export type SlowQueue = 'link' | 'held' | 'tasks' | 'connections' | 'recovery' | 'outbox'

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
  /**
   * A queue is at its bound: from now on something in it is dropped or refused, until it has drained. Told once each time
   * that this begins.
   */
  slow: (member: Member, info: { queue: SlowQueue; queuedBytes: number }) => void
  /** How far `hub.reload()` is with a member. Neither `join` nor `leave` is told of processes that it exchanges. */
  reload: (member: Member, info: ReloadProgress) => void
}

/**
 * `starting`: the new process has been forked. `draining`: it is ready and has taken over, and the old one hands over and
 * finishes its work. `done`: the old one is gone. `failed`: the new one did not become ready, and the old one stays.
 */
export type ReloadPhase = 'starting' | 'draining' | 'done' | 'failed'

/** How far a reload is with one member. */
export interface ReloadProgress {
  /** What has just been reached. */
  readonly phase: ReloadPhase
  /** The incarnation that goes. */
  readonly from: number
  /** The one that comes. */
  readonly to: number
  /** How many members this reload is done with … */
  readonly done: number
  /** … and how many there are. */
  readonly total: number
  /** How the old process ended; only in phase `done`, and where there was one. */
  readonly exit?: Exit
  /** Why it failed; only in phase `failed`. */
  readonly reason?: string
}

/** A typed emitter, which `events.once` and `events.on` take as well. */
export interface Lifecycle {
  /** Subscribes. Each listener is given the member first. As all methods of an `EventEmitter` it acts locally. */
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
