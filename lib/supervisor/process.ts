import type { ChildProcess, SendHandle, Serializable } from 'node:child_process'
import cluster, { type ClusterSettings, type Worker } from 'node:cluster'
import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import type { Exit } from '../types.js'
import type { ResolvedSeat } from './options.js'
import { StderrTail } from './stderr.js'

/** How a worker's process ended. A process that never started has neither a code nor a signal. */
export interface WorkerExit extends Exit {
  /** Why it could not be started. */
  readonly message?: string
}

type Sent = (error: Error | null) => void

/** How long after its exit a process's channel may stay open without a word: a grandchild may have inherited it. */
const CHANNEL_WAIT = 1000
/** The file descriptor of the pipe, in the worker: the first behind the channel's. */
const PIPE = 4
/** The same for its stderr, which grandchildren inherit more often, and of which less depends. */
const STDERR_WAIT = 100

/**
 * Starts the seat's next process as a cluster worker. Never throws: a process that cannot be started ends at once.
 */
export function forkWorker(seat: ResolvedSeat, incarnation: number): WorkerProcess {
  // cluster has one set of settings for all. Set, forked and restored in one turn, so that the user's own keep theirs.
  const shared = cluster as { settings: ClusterSettings }
  const before = shared.settings
  try {
    cluster.setupPrimary({
      exec: seat.exec,
      args: [...(seat.args ?? process.argv.slice(2))],
      execArgv: [...(seat.execArgv ?? process.execArgv)],
      serialization: 'advanced',
      stdio: [
        'inherit',
        'inherit',
        seat.stderr === 'tail' ? 'pipe' : 'inherit',
        'ipc',
        ...(seat.transport === 'pipe' ? (['pipe'] as const) : []),
      ],
    })
    const env: Record<string, string | undefined> = Object.fromEntries(seat.env)
    env.HUBWIRE_PROTOCOL = '1'
    env.HUBWIRE_PIPE = seat.transport === 'pipe' ? String(PIPE) : undefined
    return new WorkerProcess(seat.id, incarnation, cluster.fork(env))
  } catch (error) {
    return new WorkerProcess(seat.id, incarnation, error as Error)
  } finally {
    shared.settings = before
  }
}

/** One worker process, from its fork to its end. Knows nothing of what its messages mean. */
export class WorkerProcess {
  readonly id: string
  readonly incarnation: number
  readonly pid: number | undefined
  /** Whoever speaks with the process sets this, in the turn of the fork. */
  onmessage: ((message: unknown, handle: unknown) => void) | undefined
  /** The channel has ended; the process may live on. */
  ondisconnect: (() => void) | undefined
  /**
   * The supervisor sets this. Called exactly once, never in the turn of the fork, when the process has ended and all that
   * it sent has been read.
   */
  onexit: ((exit: WorkerExit) => void) | undefined

  readonly #child: ChildProcess | undefined
  readonly #pending = new Set<Sent>()
  #stderr: StderrTail | undefined
  #stderrOpen = false
  #channelOpen = false
  #pipe: Socket | undefined
  #pipeOpen = false
  #exit: WorkerExit | undefined
  #finished = false
  #forget: () => void = () => {}
  #timer: NodeJS.Timeout | undefined
  #heard = false

  /** @internal Use `forkWorker`. */
  constructor(id: string, incarnation: number, started: Worker | Error) {
    this.id = id
    this.incarnation = incarnation
    if (started instanceof Error) {
      process.nextTick(() => this.#failed(started))
      return
    }
    const child = started.process
    this.#child = child
    this.#forget = () => {
      if (cluster.workers?.[started.id] === started) delete cluster.workers[started.id]
    }
    this.pid = child.pid
    this.#channelOpen = child.connected === true
    // cluster repeats the child's errors on its own object, where nobody listening would end the primary.
    started.on('error', () => {})
    child.on('error', (error) => {
      // Later ones say that a signal or a message did not arrive: the exit tells that better.
      if (child.pid !== undefined) return
      if (cluster.workers !== undefined) delete cluster.workers[started.id]
      this.#failed(error)
    })
    child.on('message', (message: unknown, handle: unknown) => {
      if (this.#finished) return
      this.#heard = true
      this.onmessage?.(message, handle)
    })
    let lost = false
    // Whoever lives on without one of the two can be told nothing.
    const lose = () => {
      if (!lost && !this.#finished) this.ondisconnect?.()
      lost = true
      this.#settle()
    }
    const disconnected = () => {
      if (!this.#channelOpen) return
      this.#channelOpen = false
      lose()
    }
    child.once('disconnect', disconnected)
    // With a handle on its way to it that is never taken, Node tells of the end of everything, and of no disconnection.
    child.once('close', disconnected)
    child.once('exit', (code, signal) => {
      this.#exit = { code, signal }
      this.#settle()
    })
    const pipe = child.stdio[PIPE] as Socket | null | undefined
    if (pipe && child.pid !== undefined) {
      this.#pipe = pipe
      this.#pipeOpen = true
      pipe.on('data', () => {
        this.#heard = true
      })
      // It tells of its end as well, and who writes to it is told why that failed.
      pipe.on('error', () => {})
      pipe.once('close', () => {
        this.#pipeOpen = false
        lose()
      })
    }
    if (child.stderr && child.pid !== undefined) {
      this.#stderrOpen = true
      this.#stderr = new StderrTail(child.stderr, () => {
        this.#stderrOpen = false
        this.#settle()
      })
    }
  }

  /** Whether messages can be sent to it. */
  get connected(): boolean {
    const pipeGone = this.#pipe !== undefined && !this.#pipeOpen
    return this.#channelOpen && !pipeGone && this.#child?.connected === true
  }

  /** The last 4 KiB of its stderr; empty where that is inherited. */
  get stderrTail(): string {
    return this.#stderr?.text ?? ''
  }

  /**
   * Sends a message. Never throws. The callback is called exactly once, later, and at the latest just before `onexit`.
   */
  send(message: unknown, callback: Sent, handle?: unknown): void {
    const sent: Sent = (error) => {
      if (this.#pending.delete(sent)) callback(error)
    }
    this.#pending.add(sent)
    if (!this.connected || this.#child === undefined) {
      process.nextTick(sent, channelClosed())
      return
    }
    try {
      // More goes over a channel than Node declares: any value that can be cloned, and raw handles.
      this.#child.send(message as Serializable, handle as SendHandle | undefined, {}, sent)
    } catch (error) {
      process.nextTick(sent, error as Error)
    }
  }

  /** The pipe beside its channel, where the seat has one. */
  get pipe(): Socket | undefined {
    return this.#pipe
  }

  /** The emitter of what comes over its channel; undefined when it never started. */
  get channel(): EventEmitter | undefined {
    return this.#child
  }

  /** False when the process is gone already. Signal 0 only asks. */
  kill(signal: NodeJS.Signals | 0): boolean {
    return this.#child?.kill(signal) ?? false
  }

  #failed(error: Error): void {
    if (this.#exit) return
    this.#exit = { code: null, signal: null, message: error.message }
    this.#finish()
  }

  /** Every way in which a process ends leads here, several times: the last one finishes. */
  #settle(): void {
    if (this.#exit === undefined || this.#finished) return
    const talks = this.#channelOpen || this.#pipeOpen
    if (!talks && !this.#stderrOpen) {
      this.#finish()
      return
    }
    clearTimeout(this.#timer)
    this.#heard = false
    this.#timer = setTimeout(
      // The timer may be late because this process was busy: let it read what has come meanwhile.
      () => setImmediate(() => (this.#heard ? this.#settle() : this.#finish())),
      talks ? CHANNEL_WAIT : STDERR_WAIT,
    )
  }

  #finish(): void {
    const exit = this.#exit
    if (exit === undefined || this.#finished) return
    this.#finished = true
    clearTimeout(this.#timer)
    if (this.#child?.connected) this.#child.disconnect()
    this.#pipe?.destroy()
    // Where Node tells of no disconnection, cluster would keep the worker, and all that hangs on it, for ever.
    this.#forget()
    // A grandchild may write on: pass that through, but do not stay alive for it.
    if (this.#stderrOpen) (this.#child?.stderr as Socket | null)?.unref()
    for (const sent of this.#pending) sent(channelClosed())
    this.onexit?.(exit)
  }
}

function channelClosed(): Error {
  return Object.assign(new Error('Channel closed'), { code: 'ERR_IPC_CHANNEL_CLOSED' })
}
