import { types } from 'node:util'

/** How much of an error travels. */
export interface ErrorLimits {
  /** How many errors deep: an error's cause, its cause, … */
  readonly causes: number
  /** UTF-16 code units of each message. */
  readonly message: number
  /** UTF-16 code units of each stack. */
  readonly stack: number
  /** Bytes of all of it. Beyond, large fields stay behind, and of `errors` all but the first. */
  readonly bytes: number
}

/** How many levels of causes of a handler's error travel. */
export const MAX_CAUSES = 8
/** Where the message of a handler's error is cut, in UTF-16 code units. */
export const MAX_ERROR_MESSAGE = 16 * 1024
/** Where the stack of a handler's error is cut, in UTF-16 code units. */
export const MAX_ERROR_STACK = 16 * 1024
/** How large a handler's error may be with all that it carries, in bytes. */
export const MAX_ERROR_BYTES = 1 << 20
/** Of an error that is too large: how large each field may be, in bytes. */
export const MAX_FIELD_BYTES = 16 * 1024
/** Of an error that is too large: how many of its `errors` travel. */
export const MAX_ERRORS = 16

/** What `encodeError` keeps to unless told otherwise. */
export const ERROR_LIMITS: ErrorLimits = {
  causes: MAX_CAUSES,
  message: MAX_ERROR_MESSAGE,
  stack: MAX_ERROR_STACK,
  bytes: MAX_ERROR_BYTES,
}

/** One of an error's own fields, before or after its value was made ready to travel. */
export type ErrorField = readonly [key: string, value: unknown, enumerable: boolean]

/** An error in pieces. The name says which class it claims to be, `classOf` which one it really descends from. */
export interface ErrorParts {
  readonly name: string | undefined
  readonly message: string | undefined
  readonly stack: string | undefined
  readonly fields: ErrorField[]
}

// The order is part of the wire format: append only.
const CLASSES: readonly { readonly prototype: object }[] = [
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
  AggregateError,
  DOMException,
]
const PROTOTYPES = CLASSES.map((errorClass) => errorClass.prototype)

/** Whether the value travels as an error: also one of another realm, a `DOMException`, or an ES5 style subclass. */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || (!types.isProxy(value) && value instanceof Error)
}

/** The number of the built-in class that the error is, or descends from; 0, `Error`, in doubt. */
export function classOf(error: Error): number {
  for (let link: unknown = Object.getPrototypeOf(error); link !== null; link = Object.getPrototypeOf(link)) {
    const index = PROTOTYPES.indexOf(link as object)
    if (index >= 0) return index
  }
  // Another realm has prototypes of its own; there the name must do.
  return Math.max(
    0,
    PROTOTYPES.findIndex((prototype) => (prototype as Error).name === error.name),
  )
}

/** An empty error of that class, to be filled by `fillError`; `undefined` if there is no such class. */
export function newError(index: number): Error | undefined {
  const errorClass = CLASSES[index] as (new (errors?: unknown) => Error) | undefined
  if (errorClass === undefined) return undefined
  if (PROTOTYPES[index] !== AggregateError.prototype) return new errorClass()
  const error = new errorClass([])
  // The sender's own `errors`, if it has them, come with its fields.
  Reflect.deleteProperty(error, 'errors')
  return error
}

/**
 * Takes an error apart. With `lenient` a getter that throws counts as absent.
 */
export function errorParts(error: Error, lenient: boolean): ErrorParts {
  const read = (key: string): unknown => {
    try {
      return (error as unknown as Record<string, unknown>)[key]
    } catch (thrown) {
      if (lenient) return undefined
      throw thrown
    }
  }
  const [name, message, stack] = [read('name'), read('message'), read('stack')]
  const fields: ErrorField[] = []
  // `cause` and `errors` are not enumerable; `code` may be a getter of the class.
  for (const key of ['cause', 'errors']) {
    if (Object.hasOwn(error, key) && !isEnumerable(error, key)) fields.push([key, read(key), false])
  }
  if (!isEnumerable(error, 'code')) {
    const code = read('code')
    if (typeof code === 'string' || typeof code === 'number') fields.push(['code', code, false])
  }
  for (const key of Object.keys(error)) {
    const value = read(key)
    if (value === undefined && lenient) continue
    if ((key === 'message' || key === 'stack') && typeof value === 'string') continue
    fields.push([key, value, true])
  }
  const hasMessage = typeof message === 'string' && (message !== '' || Object.hasOwn(error, 'message'))
  return {
    name: typeof name === 'string' ? name : undefined,
    message: hasMessage ? message : undefined,
    stack: typeof stack === 'string' ? stack : undefined,
    fields,
  }
}

/** Gives an empty error of `newError` what `errorParts` took from another. */
export function fillError(error: Error, parts: ErrorParts): void {
  if (parts.name !== undefined && error.name !== parts.name) define(error, 'name', parts.name, false)
  if (parts.message !== undefined) define(error, 'message', parts.message, false)
  // Its own stack would tell how it was decoded.
  define(error, 'stack', parts.stack, false)
  for (const [key, value, enumerable] of parts.fields) define(error, key, value, enumerable)
}

/**
 * Marks in the stacks of an error, of its causes and of its `errors` where they come from, above the first frame:
 * `    at --- in member "mailer" ---`.
 */
export function markStack(error: unknown, whereabouts: string): void {
  const mark = `\n    at --- in ${whereabouts} ---`
  const found = new Set<Error>()
  const find = (part: unknown) => {
    if (isError(part)) found.add(part)
  }
  find(error)
  // A set goes on with what is added meanwhile: no chain of causes is too long for the stack.
  for (const one of found) {
    addMark(one, mark)
    const { cause, errors } = one as { cause?: unknown; errors?: unknown }
    find(cause)
    if (Array.isArray(errors)) for (const inner of errors) find(inner)
  }
}

function addMark(error: Error, mark: string): void {
  // Its own fields may have taken the place of any of these.
  const { name, message, stack } = error as unknown as Record<string, unknown>
  const head = typeof message === 'string' ? message : ''
  const text = typeof stack === 'string' ? stack : `${typeof name === 'string' ? name : 'Error'}: ${head}`
  // The message may contain lines that look like frames: skip it where we can recognise it.
  const start = Math.max(0, text.indexOf(head)) + head.length
  const frames = text.indexOf('\n    at ', start)
  const marked = frames < 0 ? text + mark : text.slice(0, frames) + mark + text.slice(frames)
  define(error, 'stack', marked, false)
}

/** Sets a property as data, whatever its name or an inherited setter may do. */
export function define(target: object, key: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(target, key, { value, enumerable, configurable: true, writable: true })
}

function isEnumerable(target: object, key: string): boolean {
  return Object.prototype.propertyIsEnumerable.call(target, key)
}
