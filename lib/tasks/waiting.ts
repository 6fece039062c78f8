import { Alarm } from '../alarm.js'
import type { Audience, Call } from './call.js'
import { TaskQueue } from './queue.js'

export interface WaitingOptions {
  /** Tasks that may wait in the hub for a handler with room, over all tasks. */
  maxQueuedTasks: number
  /** And their bytes. */
  maxQueueBytes: number
}

/** All calls that wait in the hub for a handler with room: counted, bounded, in order. */
export class WaitingCalls {
  readonly #options: WaitingOptions
  readonly #queues = new Map<string, TaskQueue>()
  #length = 0
  #bytes = 0
  #idle: (() => void)[] = []

  readonly #alarm: Alarm

  /** `onFull`: it begins to refuse calls, with so many bytes. */
  constructor(options: WaitingOptions, onFull: (bytes: number) => void) {
    this.#options = options
    this.#alarm = new Alarm(() => onFull(this.#bytes))
  }

  get length(): number {
    return this.#length
  }

  /** Whether no further call is accepted. */
  get full(): boolean {
    return this.#length >= this.#options.maxQueuedTasks || this.#bytes > this.#options.maxQueueBytes
  }

  /** A call was refused because of that. */
  refused(): void {
    this.#alarm.raise()
  }

  get bytes(): number {
    return this.#bytes
  }

  get tasks(): string[] {
    return [...this.#queues.keys()]
  }

  audiences(task: string): Audience[] {
    return this.#queues.get(task)?.audiences ?? []
  }

  /** Calls for this audience, over all tasks. */
  count(audience: Audience): number {
    let count = 0
    for (const queue of this.#queues.values()) count += queue.count(audience)
    return count
  }

  has(task: string): boolean {
    return this.#queues.has(task)
  }

  push(call: Call): void {
    let queue = this.#queues.get(call.task)
    if (!queue) {
      queue = new TaskQueue()
      this.#queues.set(call.task, queue)
    }
    queue.push(call)
    this.#length++
    this.#bytes += call.bytes
  }

  /** Takes out the oldest call of a task for any of these audiences. */
  take(task: string, audiences: readonly Audience[]): Call | undefined {
    const queue = this.#queues.get(task)
    const call = queue?.take(audiences)
    if (queue && call) this.#taken(call, queue)
    return call
  }

  withdraw(call: Call): void {
    const queue = this.#queues.get(call.task)
    if (!queue || !call.queued) return
    queue.withdraw(call)
    this.#taken(call, queue)
  }

  /** Resolves when none waits. */
  async idle(): Promise<void> {
    while (this.#length > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  #taken(call: Call, queue: TaskQueue): void {
    if (queue.length === 0) this.#queues.delete(call.task)
    this.#length--
    this.#bytes -= call.bytes
    this.#alarm.settle(this.#length, this.#options.maxQueuedTasks)
    if (this.#length > 0 || this.#idle.length === 0) return
    const idle = this.#idle
    this.#idle = []
    for (const resolve of idle) resolve()
  }
}
