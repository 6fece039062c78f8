import { checkName, LOCAL_EVENTS } from './emitter.js'
import { invalid } from './errors.js'
import type { Membership } from './membership.js'
import type { Recipients } from './recipients.js'
import type { Roster } from './roster.js'
import type { Validator } from './schema.js'
import type { Messenger } from './scope.js'
import { aborted, type CallOptions, describeCall, type PendingCalls } from './tasks/pending.js'
import { isThenable } from './thenable.js'
import { wallClockAt } from './timers.js'
import { Coalescer, MAX_COALESCED } from './wire/coalescer.js'
import { encodeArguments, encodeValue, sizeOf, tooLarge } from './wire/codec.js'
import { Address, ATTACHED, eventHead, eventHeader, requestHeader, SINGLE, VALIDATED } from './wire/frame.js'
import type { Link } from './wire/link.js'
import { flatCopy, flatLength, MAX_ESCAPED } from './wire/plain.js'

/** More than these for one target, and an application makes up names as it goes: the cache starts anew. */
const MAX_CACHED = 1024

/** Writes what a member sends: events, and calls. */
export class Outbox implements Messenger {
  eventsSent = 0
  readonly #membership: Membership
  readonly #link: Link
  readonly #roster: Roster
  readonly #validator: Validator
  readonly #pending: PendingCalls
  readonly #coalescer: Coalescer

  constructor(membership: Membership, validator: Validator, pending: PendingCalls) {
    this.#membership = membership
    this.#link = membership.link
    this.#coalescer = new Coalescer(membership.link)
    this.#roster = membership.roster
    this.#validator = validator
    this.#pending = pending
  }

  send(to: Recipients, event: string, args: unknown[]): boolean {
    if (this.#membership.closed) this.#membership.assertOpen(`${verbOf(to)}(${JSON.stringify(event)})`)
    const heads = this.#heads(to, event)
    let flags = 0
    let values = args
    if (this.#validator.hasEvent(event)) {
      values = this.#validator.eventArguments(event, args)
      flags = VALIDATED
    }
    if (values.length === 1) flags |= SINGLE
    this.#post(to, event, heads, flags, values)
    this.eventsSent++
    return !this.#link.over && !this.#roster.isPressed(to)
  }

  #post(to: Recipients, event: string, heads: readonly string[], flags: number, values: readonly unknown[]): void {
    const { maxMessageBytes } = this.#membership.settings
    const isSingle = (flags & SINGLE) !== 0
    // The usual message need not be encoded at once: it is copied with little effort, and cannot be too long.
    const copy = isSingle ? flatCopy(values[0]) : undefined
    const length = copy ? flatLength(copy, Math.min(MAX_COALESCED, maxMessageBytes / MAX_ESCAPED)) : -1
    if (length >= 0) {
      this.#assertRoom(to, event)
      this.#coalescer.add(flags, heads, copy, length)
      return
    }
    const body = isSingle ? encodeValue(values[0], 'event', event, 'args[0]') : encodeArguments(values, 'event', event)
    const { text, bytes } = body
    if (sizeOf(body) > maxMessageBytes) throw tooLarge(body, maxMessageBytes, 'event', event)
    this.#assertRoom(to, event)
    if (bytes === undefined && text !== '' && text.length <= MAX_COALESCED) {
      this.#coalescer.addText(flags, heads, text)
      return
    }
    const all = bytes ? flags | ATTACHED : flags
    for (const head of heads) this.#link.write(eventHeader(all, head, text.length), text, bytes && [bytes])
  }

  #assertRoom(to: Recipients, event: string): void {
    if (this.#membership.full) throw this.#membership.overloaded(`emit(${JSON.stringify(event)}) to ${to}`)
  }

  call(to: Recipients, task: string, input: unknown, options: CallOptions): Promise<unknown> {
    try {
      checkName(task, 'task')
      if (this.#membership.closed) this.#membership.assertOpen(describeCall(to, task))
      const { size } = this.#pending
      if (size >= this.#membership.settings.maxPendingCalls)
        throw this.#membership.tooMany(describeCall(to, task), size)
      if (!this.#validator.hasInput(task)) return this.#ask(to, task, input, 0, options)
      const validated = this.#validator.taskInput(task, input)
      if (!isThenable(validated)) return this.#ask(to, task, validated, VALIDATED, options)
      return this.#askLater(to, task, validated, options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  idsOf(to: Recipients): string[] {
    if (to.kind !== 'role') return [...to.ids]
    this.#roster.role(to.role, () => `gather() to ${to}`)
    return this.#roster.inRole(to.role).map((member) => member.id)
  }

  /** The heads of an event's frames, one for each address that it goes to. */
  #heads(to: Recipients, event: string): readonly string[] {
    const addresses = this.#roster.addresses(to, 'emit', event)
    const known = to.heads.get(event)
    if (known) return known
    checkName(event, 'event')
    if (LOCAL_EVENTS.has(event)) {
      throw invalid(`"${event}" is a local event of every emitter, and never travels. Choose another name.`)
    }
    const heads = addresses.map((address) => eventHead(address, event))
    if (to.heads.size >= MAX_CACHED) to.heads.clear()
    to.heads.set(event, heads)
    return heads
  }

  #ask(to: Recipients, task: string, value: unknown, validated: number, options: CallOptions): Promise<unknown> {
    if (options.signal?.aborted) throw aborted(describeCall(to, task), options.signal)
    const call = this.#pending.next()
    const now = performance.now()
    this.#writeRequest(call, now, to, task, value, validated, options)
    return this.#pending.expect(call, now, to, task, options)
  }

  /** While a schema takes its time, the call's timeout and signal are in force already. */
  #askLater(to: Recipients, task: string, validated: Promise<unknown>, options: CallOptions): Promise<unknown> {
    if (options.signal?.aborted) throw aborted(describeCall(to, task), options.signal)
    const call = this.#pending.next()
    const now = performance.now()
    validated
      .then((value) => {
        if (this.#pending.has(call)) this.#writeRequest(call, now, to, task, value, VALIDATED, options)
      })
      .then(undefined, (error) => this.#pending.failed(call, () => error))
    return this.#pending.expect(call, now, to, task, options)
  }

  #writeRequest(
    call: number,
    askedAt: number,
    to: Recipients,
    task: string,
    value: unknown,
    validated: number,
    { timeout, retries }: CallOptions,
  ): void {
    const address =
      to.kind === 'everybody'
        ? Address.Anybody
        : (this.#roster.addresses(to, to.kind === 'role' ? 'delegate' : 'request', task)[0] as number)
    const body = encodeValue(value, 'the input of task', task, 'input')
    const { text, bytes } = body
    const { maxMessageBytes } = this.#membership.settings
    if (sizeOf(body) > maxMessageBytes) throw tooLarge(body, maxMessageBytes, 'the input of task', task)
    if (this.#membership.full) throw this.#membership.overloaded(describeCall(to, task))
    const flags = bytes ? validated | ATTACHED : validated
    // A deadline of Infinity says that there is none.
    const deadline = wallClockAt(askedAt) + timeout
    this.#link.write(requestHeader(flags, address, call, deadline, retries, task, text.length), text, bytes && [bytes])
  }
}

function verbOf({ kind }: Recipients): string {
  return kind === 'others' ? 'broadcast' : 'emit'
}
