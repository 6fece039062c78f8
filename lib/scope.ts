import { calledFromHere } from './call-site.js'
import { show } from './checks.js'
import { type HubError, invalid } from './errors.js'
import { parseTarget, Recipients } from './recipients.js'
import type { CallOptions } from './tasks/pending.js'
import type { Gathered, Target } from './types.js'
import { MAX_RETRIES } from './wire/frame.js'

/** What a scope needs of the member that made it. */
export interface Messenger {
  send(to: Recipients, event: string, args: unknown[]): boolean
  call(to: Recipients, task: string, input: unknown, options: CallOptions): Promise<unknown>
  /** The ids behind recipients. */
  idsOf(to: Recipients): string[]
}

/**
 * Recipients and operators together: what `hub.to(…)`, `hub.timeout(…)` and the like return. Immutable. Which of its
 * methods make sense depends on the recipients; the types let the right ones through, and each checks at run time.
 */
export class Scope {
  readonly #messenger: Messenger
  readonly #to: Recipients
  readonly #options: CallOptions

  constructor(messenger: Messenger, to: Recipients, options: CallOptions) {
    this.#messenger = messenger
    this.#to = to
    this.#options = options
  }

  to(target: Target): Scope {
    return new Scope(this.#messenger, parseTarget(target), this.#options)
  }

  timeout(ms: number): Scope {
    if (typeof ms !== 'number' || !(ms > 0)) {
      throw invalid(`.timeout(${show(ms)}): give a positive number of milliseconds, or Infinity to wait for ever.`)
    }
    return new Scope(this.#messenger, this.#to, { ...this.#options, timeout: ms })
  }

  signal(signal: AbortSignal): Scope {
    if (!(signal instanceof AbortSignal)) throw invalid(`.signal(…): give an AbortSignal, not ${show(signal)}.`)
    return new Scope(this.#messenger, this.#to, { ...this.#options, signal })
  }

  retry(times: number): Scope {
    if (!Number.isInteger(times) || times < 0 || times > MAX_RETRIES) {
      throw invalid(`.retry(${show(times)}): give a whole number from 0 to ${MAX_RETRIES}.`)
    }
    return new Scope(this.#messenger, this.#to, { ...this.#options, retries: times })
  }

  emit(event: string, ...args: unknown[]): boolean {
    return this.#messenger.send(this.#to, event, args)
  }

  // What is wrong with a call's arguments rejects, as all else that goes wrong with it.

  async request(task: string, input?: unknown, ...more: unknown[]): Promise<unknown> {
    if (more.length > 0) throw oneInput('request', task, more)
    if (this.#to.kind !== 'member') {
      throw invalid(
        `request(${JSON.stringify(task)}) to ${this.#to}: a request goes to one id, as in hub.to('mailer'). ` +
          'Use delegate() for whichever member of a role is least busy, or gather() to ask each.',
      )
    }
    try {
      return await this.#messenger.call(this.#to, task, input, this.#options)
    } catch (error) {
      throw calledFromHere(error)
    }
  }

  async delegate(task: string, input?: unknown, ...more: unknown[]): Promise<unknown> {
    if (more.length > 0) throw oneInput('delegate', task, more)
    if (this.#to.kind !== 'role' && this.#to.kind !== 'everybody') {
      throw invalid(
        `delegate(${JSON.stringify(task)}) to ${this.#to}: the hub chooses who does a delegated task, ` +
          'among all or within a role. Use request() for one id, or gather() to ask each.',
      )
    }
    try {
      return await this.#messenger.call(this.#to, task, input, this.#options)
    } catch (error) {
      throw calledFromHere(error)
    }
  }

  async gather(task: string, input?: unknown, ...more: unknown[]): Promise<Gathered<unknown>[]> {
    if (more.length > 0) throw oneInput('gather', task, more)
    if (this.#to.kind === 'everybody') throw invalid(`gather(${JSON.stringify(task)}): say whom to ask with hub.to(…).`)
    return Promise.all(
      this.#messenger.idsOf(this.#to).map(async (id): Promise<Gathered<unknown>> => {
        try {
          const to = new Recipients('member', [id])
          return { id, status: 'fulfilled', value: await this.#messenger.call(to, task, input, this.#options) }
        } catch (reason) {
          return { id, status: 'rejected', reason: reason as Error }
        }
      }),
    )
  }
}

/** Events take a list of arguments, and tasks do not: nothing is to be dropped without a word. */
function oneInput(verb: string, task: string, more: readonly unknown[]): HubError {
  return invalid(
    `${verb}(${JSON.stringify(task)}, …): a task takes one input, and was given ${more.length + 1}. ` +
      'Put them into one object or list.',
  )
}
