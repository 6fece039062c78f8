import { HubError, type HubErrorCode } from '../errors.js'
import { nextNumber } from '../numbers.js'
import { isThenable } from '../thenable.js'
import { callBody, hasFlag, readCall, VALIDATED } from '../wire/frame.js'
import { readBody } from '../wire/run.js'
import { Expiring, Expiry } from './expiry.js'
import { NumberTable } from './number-table.js'
import type { TaskPayloads } from './payloads.js'

/** The greatest call number: V8 keeps such as small integers on every platform. */
export const MAX_CALL = 2 ** 28 - 1

export interface CallOptions {
  readonly timeout: number
  readonly signal: AbortSignal | undefined
  readonly retries: number
}

/** Whom a call is for, as far as its errors tell of it. */
export interface CallTarget {
  /** `member`: one that was named. `everybody`: whoever serves the task. */
  readonly kind: string
  toString(): string
}

/** A task asked of somebody, until it is answered. */
class Ask extends Expiring {
  readonly call: number
  readonly to: CallTarget
  readonly task: string
  readonly options: CallOptions
  resolve: (value: unknown) => void = ignore
  reject: (error: unknown) => void = ignore

  constructor(call: number, to: CallTarget, task: string, options: CallOptions) {
    super(options.timeout)
    this.call = call
    this.to = to
    this.task = task
    this.options = options
  }

  /** As it reads in errors. */
  override toString(): string {
    return describeCall(this.to, this.task)
  }
}

export function describeCall(to: CallTarget, task: string): string {
  const audience = to.kind === 'everybody' ? '' : ` to ${to}`
  return `${to.kind === 'member' ? 'Request' : 'Delegation of'} ${JSON.stringify(task)}${audience}`
}

const ignore = () => {}

/** The calls of this member that wait for their answers. */
export class PendingCalls {
  readonly #asks = new NumberTable<Ask>()
  readonly #validator: TaskPayloads
  readonly #withdraw: (call: number) => void
  readonly #onRefusedPayload: () => void
  readonly #expiry: Expiry<Ask>
  readonly #signals = new Map<AbortSignal, { calls: Set<number>; onAbort: () => void }>()
  #last = -1
  #closing = false

  /** `withdraw` tells the hub that nobody waits for a call any more. */
  constructor(validator: TaskPayloads, withdraw: (call: number) => void, onRefusedPayload: () => void) {
    this.#validator = validator
    this.#withdraw = withdraw
    this.#onRefusedPayload = onRefusedPayload
    this.#expiry = new Expiry(({ call, timeout }) => {
      this.#fail(
        call,
        (ask) =>
          new HubError(
            'ERR_HUB_TIMEOUT',
            `${ask}: no answer within ${timeout} ms. ` +
              'Allow more with .timeout(ms), or see what keeps the other member busy.',
          ),
      )
    })
  }

  get size(): number {
    return this.#asks.size
  }

  /** A number for the next call. */
  next(): number {
    this.#last = nextNumber(this.#last, 0, MAX_CALL, this.#asks)
    return this.#last
  }

  /** The answer to a call that is being sent. `now`: by `performance.now()`. */
  expect(call: number, now: number, to: CallTarget, task: string, options: CallOptions): Promise<unknown> {
    const ask = new Ask(call, to, task, options)
    this.#asks.set(call, ask)
    this.#expiry.add(ask, now)
    const { signal } = options
    if (signal) this.#watch(signal, call)
    return new Promise((resolve, reject) => {
      ask.resolve = resolve
      ask.reject = reject
    })
  }

  /** Whether somebody still waits for this call. */
  has(call: number): boolean {
    return this.#asks.has(call)
  }

  /** A Response frame. `read`: the answer, or `UNREAD`. */
  answered(read: unknown, text: string, at: number, length: number, bytes: Uint8Array | undefined): void {
    const call = readCall(text, at)
    const ask = this.#asks.get(call)
    if (!ask) return
    let value: unknown
    try {
      value = readBody(read, text, callBody(at), at + length, bytes)
    } catch (error) {
      this.#take(call)?.reject(error)
      return
    }
    if (hasFlag(text, at, VALIDATED) || !this.#validator.hasOutput(ask.task)) this.#take(call)?.resolve(value)
    else this.#validate(call, ask.task, value)
  }

  #validate(call: number, task: string, value: unknown): void {
    const refuse = (error: unknown) => {
      this.#onRefusedPayload()
      this.#take(call)?.reject(error)
    }
    try {
      const validated = this.#validator.taskOutput(task, value)
      // While a schema takes its time, the call's timeout and signal are still in force.
      if (isThenable(validated)) validated.then((settled) => this.#take(call)?.resolve(settled), refuse)
      else this.#take(call)?.resolve(validated)
    } catch (error) {
      refuse(error)
    }
  }

  failed(call: number, makeError: () => unknown): void {
    const ask = this.#take(call)
    if (!ask) return
    try {
      ask.reject(makeError())
    } catch (error) {
      // What came was no error that can be read: the caller is to know that, and nobody else to suffer from it.
      ask.reject(error)
    }
  }

  /** The hub answers in place of a member. */
  refused(call: number, body: string): void {
    const ask = this.#take(call)
    if (!ask) return
    try {
      const { code, message } = JSON.parse(body) as { code: HubErrorCode; message: string }
      // Who closes the hub ends the servers of its own calls.
      const closed = this.#closing && code === 'ERR_HUB_MEMBER_EXITED'
      ask.reject(closed ? closedError(ask, undefined) : new HubError(code, message))
    } catch (cause) {
      // The hub would not write this. A member has forged it.
      const why = 'what came instead of an answer cannot be read. Do all processes run the same version of hubwire?'
      ask.reject(new HubError('ERR_HUB_PROTOCOL', `${ask}: ${why}`, { cause }))
    }
  }

  /** Ends all that still wait. */
  close(cause: Error | undefined): void {
    for (const ask of this.#asks.values()) {
      this.#take(ask.call)
      ask.reject(closedError(ask, cause))
    }
    this.#expiry.clear()
  }

  /** The hub is being closed, by this member or above it: from now on that is why the servers of its calls end. */
  closing(): void {
    this.#closing = true
  }

  #fail(call: number, makeError: (ask: Ask) => HubError): void {
    const ask = this.#take(call)
    if (!ask) return
    this.#withdraw(call)
    ask.reject(makeError(ask))
  }

  /** One listener for all calls with the same signal: an application's shutdown signal may be given to thousands. */
  #watch(signal: AbortSignal, call: number): void {
    const watched = this.#signals.get(signal)
    if (watched) {
      watched.calls.add(call)
      return
    }
    const calls = new Set([call])
    const onAbort = () => {
      for (const aborting of calls) this.#fail(aborting, (ask) => aborted(ask.toString(), signal))
    }
    signal.addEventListener('abort', onAbort, { once: true })
    this.#signals.set(signal, { calls, onAbort })
  }

  #unwatch(signal: AbortSignal, call: number): void {
    const watched = this.#signals.get(signal)
    if (!watched?.calls.delete(call) || watched.calls.size > 0) return
    signal.removeEventListener('abort', watched.onAbort)
    this.#signals.delete(signal)
  }

  #take(call: number): Ask | undefined {
    const ask = this.#asks.get(call)
    if (!ask) return undefined
    this.#asks.delete(call)
    this.#expiry.remove(ask)
    if (ask.options.signal) this.#unwatch(ask.options.signal, call)
    return ask
  }
}

function closedError(ask: Ask, cause: Error | undefined): HubError {
  return new HubError(
    'ERR_HUB_CLOSED',
    `${ask}: the hub was closed before an answer came. The task may have run. Await your calls before hub.close().`,
    cause && { cause },
  )
}

export function aborted(attempt: string, signal: AbortSignal): HubError {
  return new HubError('ERR_HUB_ABORTED', `${attempt}: its signal was aborted. Why stands in the cause.`, {
    cause: signal.reason,
  })
}
