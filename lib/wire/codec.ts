import { HubError } from '../errors.js'
import { canWrite, readClone, writeClone, writeErrors } from './clone.js'
import {
  classOf,
  ERROR_LIMITS,
  type ErrorLimits,
  errorParts,
  fillError,
  isError,
  markStack,
  newError,
} from './errors.js'
import { MAX_BINARY_LENGTH, MAX_TEXT_LENGTH } from './frame.js'
import { arePlain, isPlain } from './plain.js'
import { refusal } from './refusal.js'

export { type ErrorLimits, MAX_CAUSES, MAX_ERROR_BYTES, MAX_ERROR_MESSAGE, MAX_ERROR_STACK } from './errors.js'

/**
 * An encoded value. JSON text where JSON carries the value exactly, which is most of the time; bytes where it does not.
 *
 * What arrives is what `structuredClone` gives, except that
 * - errors keep their `code`, own fields, `errors` and identity;
 * - a `Buffer` arrives as a `Buffer`, as over Node's own channel with 'advanced' serialization;
 * - a view of a part of a larger buffer travels as a buffer of its own, instead of with the whole of it;
 * - what depends on shared memory or on resizing is refused.
 */
export interface Body {
  /** JSON; '' for `undefined`, for no arguments, and where there are bytes. */
  readonly text: string
  /** What JSON cannot carry; `undefined` if the text says it all. */
  readonly bytes: Uint8Array | undefined
}

const EMPTY: Body = { text: '', bytes: undefined }

/**
 * Encodes any value. `what` and `name` say in errors what it is: 'the input of task', 'email.send'; `root` is what the
 * path of an offending part begins with.
 * @throws {HubError} ERR_HUB_PAYLOAD, with the path of what cannot be cloned
 */
export function encodeValue(value: unknown, what: string, name?: string, root = ''): Body {
  if (value === undefined) return EMPTY
  let body: Body
  try {
    body = isPlain(value) ? { text: JSON.stringify(value), bytes: undefined } : { text: '', bytes: writeClone(value) }
  } catch (failure) {
    throw refusal(value, describe(what, name), root, failure, canWrite)
  }
  return checkSize(body, what, name)
}

/**
 * Encodes the arguments of an event.
 * @throws {HubError} ERR_HUB_PAYLOAD, with the path of what cannot be cloned, beginning `args[0]`
 */
export function encodeArguments(args: readonly unknown[], what: string, name?: string): Body {
  if (args.length === 0) return EMPTY
  let body: Body
  try {
    body = arePlain(args) ? { text: JSON.stringify(args), bytes: undefined } : { text: '', bytes: writeClone(args) }
  } catch (failure) {
    throw refusal(args, describe(what, name), 'args', failure, canWrite)
  }
  return checkSize(body, what, name)
}

/**
 * Encodes what a handler threw: an error with its causes, or any other value. It never throws: what is too long is cut,
 * an error's fields that cannot be cloned, or are too large, stay behind, and instead of any other value that cannot be
 * sent an error travels that says so.
 */
export function encodeError(error: unknown, limits: ErrorLimits = ERROR_LIMITS): Body {
  try {
    if (!isError(error)) return encodeThrown(error, limits)
    return { text: '', bytes: writeWithin(error, limits) }
  } catch (failure) {
    const substitute =
      failure instanceof HubError ? failure : new Error('The handler threw an error that cannot be sent')
    substitute.stack = `${substitute.name}: ${substitute.message}`
    return { text: '', bytes: writeErrors(withoutCause(substitute), limits) }
  }
}

/** Tries less and less of it. */
function writeWithin(error: Error, limits: ErrorLimits): Uint8Array {
  try {
    const whole = writeErrors(error, limits)
    if (whole.byteLength <= limits.bytes) return whole
  } catch {
    // Something in it cannot be cloned.
  }
  const pruned = writeErrors(error, limits, true)
  if (pruned.byteLength <= limits.bytes) return pruned
  const { name, message, stack, fields } = errorParts(error, true)
  const bare = newError(classOf(error)) as Error
  fillError(bare, { name, message, stack, fields: fields.filter(([key]) => key === 'code') })
  return writeErrors(bare, limits, true)
}

function encodeThrown(value: unknown, limits: ErrorLimits): Body {
  const body = encodeValue(value, 'what the handler threw')
  const size = sizeOf(body)
  if (size <= limits.bytes) return body
  throw new HubError(
    'ERR_HUB_PAYLOAD',
    `Cannot send what the handler threw: it is no error, and has ${size} bytes, of at most ${limits.bytes}. ` +
      'Throw an Error that says what went wrong.',
  )
}

/**
 * Decodes what `encodeValue` encoded. Nothing in it shares memory with the bytes.
 * @throws {HubError} ERR_HUB_PROTOCOL if it is not what `encodeValue` encoded
 */
export function decodeValue(text: string, bytes: Uint8Array | undefined): unknown {
  try {
    if (bytes !== undefined) return readClone(bytes)
    return text === '' ? undefined : JSON.parse(text)
  } catch (cause) {
    throw new HubError(
      'ERR_HUB_PROTOCOL',
      'Received a payload that cannot be read. Do all processes run the same version of hubwire?',
      { cause },
    )
  }
}

/**
 * Decodes what `encodeArguments` encoded.
 * @throws {HubError} ERR_HUB_PROTOCOL if it is not what `encodeArguments` encoded
 */
export function decodeArguments(text: string, bytes: Uint8Array | undefined): unknown[] {
  return argumentsIn(decodeValue(text, bytes))
}

/**
 * The arguments in what was decoded already.
 * @throws {HubError} ERR_HUB_PROTOCOL if they are not a list
 */
export function argumentsIn(value: unknown): unknown[] {
  // No arguments have no text.
  if (value === undefined) return []
  if (!Array.isArray(value)) throw new HubError('ERR_HUB_PROTOCOL', 'Received an event whose arguments are not a list.')
  return value
}

/**
 * Decodes what `encodeError` encoded. `whereabouts`, such as 'member "mailer"', is where it was thrown, which the stack
 * then says.
 * @throws {HubError} ERR_HUB_PROTOCOL if it is not what `encodeError` encoded
 */
export function decodeError(text: string, bytes: Uint8Array | undefined, whereabouts: string): unknown {
  const error = decodeValue(text, bytes)
  markStack(error, whereabouts)
  return error
}

/** What counts of a body against `maxMessageBytes`: one byte for each UTF-16 unit of text, and what is attached. */
export function sizeOf({ text, bytes }: Body): number {
  return bytes === undefined ? text.length : text.length + bytes.byteLength
}

/** For who sends more than the hub's `maxMessageBytes`. */
export function tooLarge(body: Body, maxMessageBytes: number, what: string, name?: string): HubError {
  return new HubError(
    'ERR_HUB_PAYLOAD',
    `Cannot send ${describe(what, name)}: it has ${sizeOf(body)} bytes, and at most ${maxMessageBytes} (maxMessageBytes) ` +
      'travel at a time. Send it in parts, or write it to a file and send the path.',
  )
}

/** What is too long would break at the other end, where nobody could say whose it was. */
function checkSize(body: Body, what: string, name: string | undefined): Body {
  const { text, bytes } = body
  const length = text.length + (bytes?.byteLength ?? 0)
  if (length <= (bytes ? MAX_BINARY_LENGTH : MAX_TEXT_LENGTH)) return body
  const measured = bytes
    ? `${length} bytes, and at most ${MAX_BINARY_LENGTH}`
    : `${length} characters of JSON, and at most ${MAX_TEXT_LENGTH}`
  throw new HubError(
    'ERR_HUB_PAYLOAD',
    `Cannot send ${describe(what, name)}: it has ${measured} travel at a time. Send it in parts, or write it to a file ` +
      'and send the path.',
  )
}

function describe(what: string, name: string | undefined): string {
  return name === undefined ? what : `${what} ${JSON.stringify(name)}`
}

/** A substitute must not fail for what it stands for. */
function withoutCause(error: Error): Error {
  Reflect.deleteProperty(error, 'cause')
  return error
}
