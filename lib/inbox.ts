import type { HubEmitter } from './emitter.js'
import { HubError } from './errors.js'
import type { Packets } from './packets.js'
import type { ToMember } from './relay/control.js'
import type { Validator } from './schema.js'
import type { Handlers } from './tasks/handlers.js'
import type { PendingCalls } from './tasks/pending.js'
import type { Sender } from './types.js'
import { type Batch, flatten, MARKER, malformed } from './wire/batch.js'
import { argumentsIn, decodeError, decodeValue } from './wire/codec.js'
import {
  ATTACHED,
  callBody,
  controlBody,
  DONE,
  eventBody,
  eventName,
  isWellFormed,
  Kind,
  MANY,
  messageCount,
  RAISED,
  readAddress,
  readCall,
  readKind,
  readLength,
  readSender,
  SINGLE,
  sameEventHead,
  VALIDATED,
} from './wire/frame.js'
import { Run, readBody, UNREAD } from './wire/run.js'
import type { Handle } from './wire/transport.js'

/** So many kinds of what cannot be read are told of: whoever makes up names is not to fill this process's log. */
const MAX_WARNED = 256

export interface InboxOptions {
  validator: Validator
  /** Where events go. */
  emitter: HubEmitter
  handlers: Handlers
  pending: PendingCalls
  packets: Packets
  /** The handle, if there is one, is this function's from then on. */
  control(message: ToMember, handle: Handle | undefined, bytes: Uint8Array | undefined): void
}

/** Reads what the hub sends to a member, and hands each frame to whom it concerns. */
export class Inbox {
  eventsReceived = 0
  /** Events, inputs and answers. */
  refusedPayloads = 0
  readonly #validator: Validator
  readonly #emitter: HubEmitter
  readonly #handlers: Handlers
  readonly #pending: PendingCalls
  readonly #packets: Packets
  readonly #control: InboxOptions['control']
  readonly #warned = new Set<string>()

  constructor({ validator, emitter, handlers, pending, packets, control }: InboxOptions) {
    this.#validator = validator
    this.#emitter = emitter
    this.#handlers = handlers
    this.#pending = pending
    this.#packets = packets
    this.#control = control
  }

  /** @throws {HubError} `ERR_HUB_PROTOCOL` when the batch is malformed */
  receive(batch: Batch, handle: Handle | undefined): void {
    let sender: Sender | undefined
    let senderAddress = 0
    let lastEvent = -1
    let name = ''
    const run = new Run()
    const { text, attachments } = batch
    let attached = 0
    // Not readBatch(): a closure that is called for each frame costs as much as the frame's header.
    for (let at = MARKER.length, length = 0; at < text.length; at += length) {
      length = readLength(text, at)
      if (!isWellFormed(text, at, length)) throw malformed(at)
      let bytes: Uint8Array | undefined
      const flags = text.charCodeAt(at + 4)
      if (flags & ATTACHED) {
        bytes = attachments[attached++]
        if (bytes === undefined) throw malformed(at)
      }
      switch (readKind(text, at)) {
        case Kind.Event:
          if (!sender)
            throw new HubError(
              'ERR_HUB_PROTOCOL',
              'An event came without its sender. Do all processes run the same version of hubwire?',
            )
          // The usual case: the same event as before, whose name need not be cut out again.
          if (lastEvent < 0 || !sameEventHead(text, lastEvent, at)) name = flatten(eventName(text, at))
          lastEvent = at
          if (flags & MANY) {
            this.#receiveMany(name, text, at, length, sender)
            break
          }
          this.#receiveEvent(name, bytes ? UNREAD : run.next(text, at, length), text, at, length, bytes, sender)
          break
        case Kind.Request:
          if (!sender)
            throw new HubError(
              'ERR_HUB_PROTOCOL',
              'A request came without its sender. Do all processes run the same version of hubwire?',
            )
          this.#handlers.request(
            bytes ? UNREAD : run.next(text, at, length),
            text,
            at,
            length,
            bytes,
            sender,
            senderAddress,
          )
          break
        case Kind.Response:
          this.#pending.answered(bytes ? UNREAD : run.next(text, at, length), text, at, length, bytes)
          break
        case Kind.Failure:
          this.#receiveFailure(readCall(text, at), text.substring(callBody(at), at + length), bytes, flags, sender)
          break
        case Kind.Refusal:
          this.#pending.refused(readCall(text, at), text.substring(callBody(at), at + length))
          break
        case Kind.Cancel:
          this.#handlers.cancel(senderAddress, readCall(text, at))
          break
        case Kind.Sender:
          sender = ownSender(readSender(text, at, length))
          senderAddress = readAddress(text, at)
          break
        case Kind.Packet:
          this.#packets.packet(text, at, length, bytes, flags, senderAddress)
          break
        case Kind.Answer:
          this.#packets.answered(text, at, bytes, (flags & DONE) !== 0, senderAddress)
          break
        default:
          this.#control(JSON.parse(controlBody(text, at, length)) as ToMember, handle, bytes)
      }
    }
  }

  #receiveFailure(
    call: number,
    body: string,
    bytes: Uint8Array | undefined,
    flags: number,
    from: Sender | undefined,
  ): void {
    const server = from ? `member ${JSON.stringify(from.id)}` : 'another member'
    this.#pending.failed(call, () => {
      const error = decodeError(body, bytes, server)
      return flags & RAISED ? raisedAt(server, error) : error
    })
  }

  #receiveMany(name: string, text: string, at: number, length: number, from: Sender): void {
    const count = messageCount(text, at)
    const flags = text.charCodeAt(at + 4)
    let values: unknown[]
    try {
      values = argumentsIn(decodeValue(text.substring(eventBody(text, at), at + length), undefined))
      if (values.length !== count) {
        throw new HubError('ERR_HUB_PROTOCOL', `the frame holds ${values.length} events instead of ${count}.`)
      }
    } catch (error) {
      this.eventsReceived += count
      this.refusedPayloads += count - 1
      this.refuse(eventFrom(name, from), error as Error, name)
      return
    }
    for (let i = 0; i < count; i++) this.#take(name, values[i], flags, from)
  }

  /** `read`: the body's value, or `UNREAD`. */
  #receiveEvent(
    name: string,
    read: unknown,
    text: string,
    at: number,
    length: number,
    bytes: Uint8Array | undefined,
    from: Sender,
  ): void {
    let value: unknown
    try {
      value = readBody(read, text, eventBody(text, at), at + length, bytes)
    } catch (error) {
      this.eventsReceived++
      this.refuse(eventFrom(name, from), error as Error, name)
      return
    }
    this.#take(name, value, text.charCodeAt(at + 4), from)
  }

  #take(name: string, value: unknown, flags: number, from: Sender): void {
    this.eventsReceived++
    let args: unknown[]
    try {
      args = flags & SINGLE ? [value] : argumentsIn(value)
      if (!(flags & VALIDATED) && this.#validator.hasEvent(name)) args = this.#validator.eventArguments(name, args)
    } catch (error) {
      this.refuse(eventFrom(name, from), error as Error, name)
      return
    }
    this.#emitter.deliver(name, args, from)
  }

  /** Nobody awaits it, so nobody can be told but whoever runs this process: once for each `kind`. */
  refuse(what: string, error: Error, kind = what): void {
    this.refusedPayloads++
    if (this.#warned.has(kind) || this.#warned.size >= MAX_WARNED) return
    this.#warned.add(kind)
    process.emitWarning(`${what} was dropped: ${error.message}`, {
      type: 'Hubwire',
      code: 'ERR_HUB_PAYLOAD',
    })
  }
}

function eventFrom(name: string, { id }: Sender): string {
  return `Event ${JSON.stringify(name)} from ${JSON.stringify(id)}`
}

/** Users keep names and ids, and a slice would keep alive the batch that it was cut out of. */
function ownSender({ id, incarnation, role }: Sender): Sender {
  return { id: flatten(id), incarnation, role: role === undefined ? undefined : flatten(role) }
}

/** What went wrong elsewhere, and is not a handler's error, is a `HubError` here, too. */
function raisedAt(server: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { code, message, stack, cause } = error as HubError
  const raised = new HubError(code, `${message} (in ${server})`, Object.hasOwn(error, 'cause') ? { cause } : undefined)
  if (stack !== undefined) raised.stack = stack.replace(message, () => raised.message)
  return raised
}
