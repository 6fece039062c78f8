import { checkOptions, show } from '../checks.js'
import { HubError, invalid } from '../errors.js'
import { isThenable } from '../thenable.js'
import type { HandleOptions, Sender, TaskContext } from '../types.js'
import { type Body, encodeError, encodeValue, sizeOf, tooLarge } from '../wire/codec.js'
import {
  ATTACHED,
  callHeader,
  hasFlag,
  Kind,
  RAISED,
  readCall,
  readDeadline,
  requestBody,
  requestName,
  VALIDATED,
} from '../wire/frame.js'
import { readBody } from '../wire/run.js'
import { NumberTable } from './number-table.js'
import type { TaskPayloads } from './payloads.js'

/** Callers whose tasks have all ended, and of whom something is kept for the next one. */
const MAX_IDLE_CALLERS = 64

type Handler = (input: unknown, context: TaskContext) => unknown

/** Most handlers never look at their signal: it is made when it is first asked for. */
class Context implements TaskContext {
  readonly from: Sender
  readonly deadline: number
  #controller: AbortController | undefined
  #reason: HubError | undefined

  constructor(from: Sender, deadline: number) {
    this.from = from
    this.deadline = deadline
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#reason) this.#controller.abort(this.#reason)
    return this.#controller.signal
  }

  abort(reason: HubError): void {
    this.#reason = reason
    this.#controller?.abort(reason)
  }
}

export interface HandlersOptions {
  validator: TaskPayloads
  /** Sends a frame to the hub: its header, its body. */
  send(header: string, body: string, attachment: Uint8Array | undefined): void
  onRefusedPayload(): void
  maxMessageBytes(): number
  /** Whether so much waits to be sent that an answer does not fit; if so, that is counted. */
  refuses(): boolean
}

/** The tasks that this member serves, and those that it works on now. */
export class Handlers {
  /** Each with its name: a slice of a batch would keep that alive as long as the handler runs. */
  readonly #handlers = new Map<string, { task: string; handler: Handler }>()
  /** Those that the hub may still send something for, because it has not heard yet that they ended. */
  readonly #retiring = new Map<string, symbol>()
  /** What runs, by the caller's address and the number of its call. */
  readonly #running = new Map<number, NumberTable<Context>>()
  #count = 0
  readonly #options: HandlersOptions
  #waiting: (() => void)[] = []
  served = 0

  constructor(options: HandlersOptions) {
    this.#options = options
  }

  get running(): number {
    return this.#count
  }

  add(task: string, handler: unknown): void {
    if (typeof handler !== 'function')
      throw invalid(`hub.handle(${JSON.stringify(task)}, …): the handler must be a function, not ${show(handler)}.`)
    if (this.#handlers.has(task) && !this.#retiring.has(task)) {
      throw invalid(
        `hub.handle(${JSON.stringify(task)}, …): this member serves it already. ` +
          'Call the function that the first hub.handle() returned before you handle it anew.',
      )
    }
    this.#retiring.delete(task)
    this.#handlers.set(task, { task, handler: handler as Handler })
  }

  /** It is served no more, but for what is on its way here. Call what this returns when nothing is any more. */
  retire(task: string): () => void {
    const retirement = Symbol(task)
    this.#retiring.set(task, retirement)
    return () => {
      // Unless it is served anew meanwhile, or has been retired anew since.
      if (this.#retiring.get(task) !== retirement) return
      this.#retiring.delete(task)
      this.#handlers.delete(task)
    }
  }

  /** Resolves when no task runs here. */
  async idle(): Promise<void> {
    while (this.#count > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** A Request frame: runs the task, and answers. `read`: its input, or `UNREAD`. */
  request(
    read: unknown,
    text: string,
    at: number,
    length: number,
    bytes: Uint8Array | undefined,
    from: Sender,
    address: number,
  ): void {
    const call = readCall(text, at)
    const served = this.#handlers.get(requestName(text, at))
    if (!served) {
      // The hub sends only what is served: this is for the day when it errs.
      const why = `Task "${requestName(text, at)}": it is not served there.`
      this.#refuse(address, call, new HubError('ERR_HUB_NO_HANDLER', why))
      return
    }
    const { task, handler } = served
    const context = new Context(from, readDeadline(text, at))
    this.#count++
    let input: unknown
    try {
      input = readBody(read, text, requestBody(text, at), at + length, bytes)
      if (!hasFlag(text, at, VALIDATED)) input = this.#options.validator.taskInput(task, input)
    } catch (error) {
      this.#refusedInput(address, call, error)
      return
    }
    if (isThenable(input)) {
      this.#goesOn(address, call, context)
      input.then(
        (value) => this.#run(handler, value, context, address, call, task),
        (error) => this.#refusedInput(address, call, error),
      )
    } else {
      this.#run(handler, input, context, address, call, task)
    }
  }

  /** The caller no longer waits. */
  cancel(address: number, call: number): void {
    this.#running
      .get(address)
      ?.get(call)
      ?.abort(new HubError('ERR_HUB_ABORTED', 'The caller of this task cancelled it, timed out, or is gone.'))
  }

  /** Nobody will wait for what still runs. */
  abortAll(reason: HubError): void {
    for (const calls of this.#running.values()) for (const context of calls.values()) context.abort(reason)
  }

  #run(handler: Handler, input: unknown, context: Context, address: number, call: number, task: string): void {
    this.served++
    let result: unknown
    let promise: Promise<unknown> | undefined
    try {
      result = handler(input, context)
      // A foreign thenable may call back twice, or throw: a promise of it does neither.
      if (isThenable(result)) promise = Promise.resolve(result)
    } catch (error) {
      this.#failed(address, call, error, 0)
      return
    }
    if (promise === undefined) {
      this.#succeeded(address, call, task, result, context)
      return
    }
    this.#goesOn(address, call, context)
    promise.then(
      (value) => this.#succeeded(address, call, task, value, context),
      (error) => this.#failed(address, call, error, 0),
    )
  }

  #succeeded(address: number, call: number, task: string, output: unknown, context: Context): void {
    const { validator } = this.#options
    if (validator.hasOutput(task)) {
      let validated: unknown
      try {
        validated = validator.taskOutput(task, output)
      } catch (error) {
        this.#failed(address, call, error, RAISED)
        return
      }
      if (isThenable(validated)) {
        // The handler may have given its signal to something that goes on.
        this.#goesOn(address, call, context)
        validated.then(
          (value) => this.#answer(address, call, task, value, VALIDATED),
          (error) => this.#failed(address, call, error, RAISED),
        )
        return
      }
      this.#answer(address, call, task, validated, VALIDATED)
      return
    }
    this.#answer(address, call, task, output, 0)
  }

  #answer(address: number, call: number, task: string, output: unknown, flags: number): void {
    let body: Body
    try {
      body = encodeValue(output, 'the answer of task', task, 'answer')
      const limit = this.#options.maxMessageBytes()
      if (sizeOf(body) > limit) throw tooLarge(body, limit, 'the answer of task', task)
    } catch (error) {
      this.#failed(address, call, error, RAISED)
      return
    }
    this.#send(Kind.Response | flags, address, call, body)
    this.#ended(address, call)
  }

  /** `flags`: `RAISED` when it is not the handler's own error. */
  #failed(address: number, call: number, error: unknown, flags: number): void {
    this.#send(Kind.Failure | flags, address, call, encodeError(error))
    this.#ended(address, call)
  }

  #refusedInput(address: number, call: number, error: unknown): void {
    if ((error as HubError).code === 'ERR_HUB_PAYLOAD') this.#options.onRefusedPayload()
    this.#failed(address, call, error, RAISED)
  }

  #refuse(address: number, call: number, { code, message }: HubError): void {
    this.#write(Kind.Refusal, address, call, { text: JSON.stringify({ code, message }), bytes: undefined })
  }

  /** An answer, or what becomes of one for which there is no room. */
  #send(kind: number, address: number, call: number, body: Body): void {
    if (this.#options.refuses()) {
      const why =
        'The task has run, and its answer was dropped, because too much waits to be sent in the process that served it ' +
        '(maxQueueBytes). Ask for less at a time.'
      this.#refuse(address, call, new HubError('ERR_HUB_OVERLOADED', why))
    } else {
      this.#write(kind, address, call, body)
    }
  }

  #write(kind: number, address: number, call: number, { text, bytes }: Body): void {
    this.#options.send(callHeader(bytes ? kind | ATTACHED : kind, address, call, text.length), text, bytes)
  }

  /** It may be cancelled from now on. A handler that is done at once, as most are, cannot be. */
  #goesOn(address: number, call: number, context: Context): void {
    let calls = this.#running.get(address)
    if (!calls) {
      calls = new NumberTable()
      this.#running.set(address, calls)
    }
    calls.set(call, context)
  }

  #ended(address: number, call: number): void {
    const calls = this.#running.get(address)
    calls?.delete(call)
    // Callers come and go; those that call all the time are not worth a new table each time.
    if (calls?.size === 0 && this.#running.size > MAX_IDLE_CALLERS) this.#running.delete(address)
    this.#count--
    if (this.#count > 0 || this.#waiting.length === 0) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}

/**
 * How many of a task may run at a time.
 * @throws {HubError} `ERR_INVALID_ARG_VALUE`, in words that begin with what was tried
 */
export function readConcurrency(options: HandleOptions, attempt: string): number {
  checkOptions(options, ['concurrency'], attempt)
  const { concurrency = Number.POSITIVE_INFINITY } = options
  if (concurrency !== Number.POSITIVE_INFINITY && !(Number.isInteger(concurrency) && concurrency > 0)) {
    throw invalid(`${attempt}: concurrency must be a whole number from 1 on, or Infinity, not ${show(concurrency)}.`)
  }
  return concurrency
}
