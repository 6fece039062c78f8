import { HubError, type HubErrorCode } from '../errors.js'

/** Call numbers stay below 2^28, so that a number and a caller's address fit into one double. */
export const MAX_CALL = 2 ** 28

/** Beyond it Node's timers fire at once; so long a wait is as good as none. */
const MAX_TIMER = 2 ** 31 - 1

interface Pending {
  /** What was asked of whom, for error messages. */
  readonly attempt: Attempt
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  timer: NodeJS.Timeout | undefined
  signal: AbortSignal | undefined
  onAbort: (() => void) | undefined
}

/** A task and whom it was asked of. Reads as both; made into words only where an error needs them. */
export interface Attempt {
  readonly task: string
  toString(): string
  /** Makes the answer of what came. */
  decode(text: string, bytes: Uint8Array | undefined, flags: number): unknown
}

export interface CallOptions {
  readonly timeout: number
  readonly signal: AbortSignal | undefined
  readonly retries: number
}

/** The calls of this member that wait for their answers. */
export class PendingCalls {
  readonly #calls = new Map<number, Pending>()
  readonly #withdraw: (call: number) => void
  #last = -1

  /** `withdraw` tells the hub that nobody waits for a call any more. */
  constructor(withdraw: (call: number) => void) {
    this.#withdraw = withdraw
  }

  get size(): number {
    return this.#calls.size
  }

  /** Registers a call, then sends it. */
  start(attempt: Attempt, options: CallOptions, send: (call: number, deadline: number) => void): Promise<unknown> {
    const { timeout, signal } = options
    if (signal?.aborted) return Promise.reject(aborted(attempt, signal))
    return new Promise((resolve, reject) => {
      const call = this.#next()
      const pending: Pending = { attempt, resolve, reject, timer: undefined, signal, onAbort: undefined }
      if (timeout < MAX_TIMER) pending.timer = setTimeout(this.#onTimeout, timeout, call, timeout)
      if (signal) {
        pending.onAbort = () => this.#fail(call, aborted(attempt, signal))
        signal.addEventListener('abort', pending.onAbort, { once: true })
      }
      this.#calls.set(call, pending)
      send(call, timeout === Number.POSITIVE_INFINITY ? timeout : Date.now() + timeout)
    })
  }

  answered(call: number, text: string, bytes: Uint8Array | undefined, flags: number): void {
    const pending = this.#take(call)
    if (!pending) return
    try {
      pending.resolve(pending.attempt.decode(text, bytes, flags))
    } catch (error) {
      pending.reject(error)
    }
  }

  failed(call: number, makeError: () => unknown): void {
    this.#take(call)?.reject(makeError())
  }

  /** The hub answers in place of a member. */
  refused(call: number, body: string): void {
    const pending = this.#take(call)
    if (!pending) return
    const { code, message } = JSON.parse(body) as { code: HubErrorCode; message: string }
    pending.reject(new HubError(code, message))
  }

  /** Ends all that still wait. */
  close(makeError: (attempt: Attempt) => HubError): void {
    for (const call of [...this.#calls.keys()]) {
      const pending = this.#take(call)
      pending?.reject(makeError(pending.attempt))
    }
  }

  readonly #onTimeout = (call: number, timeout: number) => {
    const attempt = this.#calls.get(call)?.attempt
    this.#fail(
      call,
      new HubError(
        'ERR_HUB_TIMEOUT',
        `${attempt}: no answer within ${timeout} ms. Allow more with .timeout(ms), or look what keeps the server busy.`,
      ),
    )
  }

  #fail(call: number, error: HubError): void {
    const pending = this.#take(call)
    if (!pending) return
    this.#withdraw(call)
    pending.reject(error)
  }

  #take(call: number): Pending | undefined {
    const pending = this.#calls.get(call)
    if (!pending) return undefined
    this.#calls.delete(call)
    clearTimeout(pending.timer)
    if (pending.onAbort) pending.signal?.removeEventListener('abort', pending.onAbort)
    return pending
  }

  #next(): number {
    do this.#last = (this.#last + 1) % MAX_CALL
    while (this.#calls.has(this.#last))
    return this.#last
  }
}

function aborted(attempt: Attempt, signal: AbortSignal): HubError {
  return new HubError('ERR_HUB_ABORTED', `${attempt}: its signal was aborted.`, { cause: signal.reason })
}

/** A call's number and its caller as one key. */
export function callKey(address: number, call: number): number {
  return address * MAX_CALL + call
}
