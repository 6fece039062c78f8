import { EventEmitter } from 'node:events'
import { show } from './checks.js'
import { invalid } from './errors.js'
import type { Sender } from './types.js'
import { MAX_NAME_LENGTH } from './wire/frame.js'

/** Raised in this process alone, as any `EventEmitter` raises them. */
export const LOCAL_EVENTS: ReadonlySet<string | symbol> = new Set(['error', 'newListener', 'removeListener'])

// biome-ignore lint/suspicious/noExplicitAny: EventEmitter's own signature for listeners
type Listener = (...args: any[]) => void
export type AnyListener = (event: string, args: unknown[], context: { from: Sender }) => void

/**
 * An `EventEmitter` whose methods act locally and whose `emit` reaches every process: the local half. It keeps the hub
 * informed of what is listened to, and delivers what comes.
 */
export abstract class HubEmitter extends EventEmitter {
  /** The listeners of each event that travels, as they are called. The hub knows that these are listened to. */
  readonly #listeners = new Map<string, readonly unknown[]>()
  #anyListeners: readonly AnyListener[] = []

  /** Tells the hub that this member listens to an event from now on, or no longer. */
  protected abstract listenTo(event: string, on: boolean): void
  /** The same for all events. */
  protected abstract listenToAll(on: boolean): void

  override on(event: string | symbol, listener: Listener): this {
    checkEvent(event)
    super.on(event, listener)
    return this.#track(event)
  }

  override addListener(event: string | symbol, listener: Listener): this {
    return this.on(event, listener)
  }

  override prependListener(event: string | symbol, listener: Listener): this {
    checkEvent(event)
    super.prependListener(event, listener)
    return this.#track(event)
  }

  override removeListener(event: string | symbol, listener: Listener): this {
    super.removeListener(event, listener)
    return this.#track(event)
  }

  override off(event: string | symbol, listener: Listener): this {
    return this.removeListener(event, listener)
  }

  override removeAllListeners(event?: string | symbol): this {
    const names = event === undefined ? this.eventNames() : [event]
    if (event === undefined) super.removeAllListeners()
    else super.removeAllListeners(event)
    for (const name of names) this.#track(name)
    return this
  }

  onAny(listener: AnyListener): this {
    if (typeof listener !== 'function')
      throw invalid(`hub.onAny(…): the listener must be a function, not ${show(listener)}.`)
    this.#anyListeners = [...this.#anyListeners, listener]
    if (this.#anyListeners.length === 1) this.listenToAll(true)
    return this
  }

  offAny(listener: AnyListener): this {
    const index = this.#anyListeners.lastIndexOf(listener)
    if (index < 0) return this
    this.#anyListeners = this.#anyListeners.toSpliced(index, 1)
    if (this.#anyListeners.length === 0) this.listenToAll(false)
    return this
  }

  /** An event came: calls whoever listens to it here. @internal */
  deliver(event: string, args: unknown[], from: Sender): void {
    for (const listener of this.#anyListeners) {
      try {
        listener(event, args, { from })
      } catch (error) {
        surface(error)
      }
    }
    const listeners = this.#listeners.get(event)
    if (listeners === undefined) return
    for (const listener of listeners) {
      try {
        Reflect.apply(listener as Listener, this, args)
      } catch (error) {
        surface(error)
      }
    }
  }

  #track(event: string | symbol): this {
    if (typeof event === 'symbol' || LOCAL_EVENTS.has(event)) return this
    const listeners = this.rawListeners(event)
    const before = this.#listeners.has(event)
    if (listeners.length === 0) {
      this.#listeners.delete(event)
      if (before) this.listenTo(event, false)
    } else {
      this.#listeners.set(event, listeners)
      if (!before) this.listenTo(event, true)
    }
    return this
  }
}

/** Before the listener is added: one that was refused must not stay behind. */
function checkEvent(event: string | symbol): void {
  if (typeof event !== 'symbol') checkName(event, 'event')
}

/** The other listeners still run; the error surfaces as Node surfaces what nobody caught. */
export function surface(error: unknown): void {
  process.nextTick(() => {
    throw error
  })
}

/** @throws {HubError} `ERR_INVALID_ARG_VALUE` when it cannot stand in a frame's header */
export function checkName(name: unknown, what: 'event' | 'task'): asserts name is string {
  if (typeof name !== 'string') {
    throw invalid(`The name of ${what === 'event' ? 'an event' : 'a task'} must be a string, not ${show(name)}.`)
  }
  if (name === '') throw invalid(`The name of ${what === 'event' ? 'an event' : 'a task'} is empty. Give it one.`)
  if (name.length > MAX_NAME_LENGTH) {
    throw invalid(
      `The ${what} name ${JSON.stringify(`${name.slice(0, 40)}…`)} is longer than ${MAX_NAME_LENGTH} characters. Shorten it.`,
    )
  }
}
