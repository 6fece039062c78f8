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
  /**
   * How long a worker that is reloaded may take to hand over its sessions, in milliseconds, within `gracePeriod`.
   * @default 5000
   */
  handoverTimeout?: number
  /** `tail`: stderr passes through, its last 4 KiB kept for error messages. `inherit`: untouched. @default 'tail' */
  stderr?: 'tail' | 'inherit'
  /**
   * What messages travel over. `ipc`: Node's own channel to the worker. `pipe`: a pipe beside it, where a single message
   * takes less time and none waits behind a connection on its way; not on Windows. @default 'ipc'
   */
  transport?: 'ipc' | 'pipe'
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
  /** The name that they share; their ids are made of it: `hub.to({ role })` means all of them. */
  role: string
  /** How many. @default 1 */
  count?: number
  id?: undefined
}

/** A worker, or several of a role. */
export type WorkerSpec = SeatSpec | RoleSpec

/** Which workers `hub.reload()` is for: those of these roles, and those with these ids. @default all */
export interface ReloadOptions {
  /** All workers of these roles. */
  roles?: readonly string[]
  /** These workers. */
  ids?: readonly (string | number)[]
  /** How many workers are exchanged at a time. @default 1 */
  concurrency?: number
}
