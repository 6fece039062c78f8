import { types } from 'node:util'
import { HubError } from '../errors.js'
import { errorParts, isError } from './errors.js'
import { MAX_DEPTH } from './plain.js'

/** What cannot be cloned, and how to go on: "is a function, which cannot be cloned. Send plain data instead." */
type Reason = string

interface Finding {
  readonly path: string
  readonly reason: Reason
  readonly cause: unknown
}

const MAX_PATH = 300

/**
 * The error for a value that could not be written: says which part of it is to blame. The path begins with `start`.
 */
export function refusal(root: unknown, what: string, start: string, failure: unknown, canWrite: CanWrite): HubError {
  let found: Finding | undefined
  try {
    found = new Search(canWrite).find(root, 0)
  } catch {
    // The search can fail for the same reason as the writing, such as a full stack.
  }
  if (found === undefined) {
    const reason = failure instanceof RangeError ? 'it is too large or too deeply nested' : messageOf(failure)
    return new HubError('ERR_HUB_PAYLOAD', `Cannot send ${what}: ${reason}. Send plain data instead.`, {
      cause: failure,
    })
  }
  const path = start + found.path
  const shown = path === '' ? 'it' : path.length > MAX_PATH ? `${path.slice(0, MAX_PATH)}…` : path
  const options = found.cause === undefined ? undefined : { cause: found.cause }
  return new HubError('ERR_HUB_PAYLOAD', `Cannot send ${what}: ${shown} ${found.reason}`, options)
}

/** Whether V8 can write this one value. */
export type CanWrite = (value: unknown) => boolean

/**
 * Why a value can never be written, whatever it contains; `undefined` if nothing is known against it.
 */
export function unclonable(value: unknown): Reason | undefined {
  if (typeof value === 'function') return cannot('a function')
  if (typeof value === 'symbol') return cannot('a symbol')
  if (typeof value !== 'object' || value === null) return undefined
  if (types.isProxy(value)) return cannot('a Proxy')
  if (ArrayBuffer.isView(value)) return unclonableBuffer(value.buffer, 'a view of ')
  if (types.isAnyArrayBuffer(value)) return unclonableBuffer(value, '')
  if (types.isPromise(value)) return cannot('a Promise', 'Await it first.')
  if (types.isWeakMap(value)) return cannot('a WeakMap')
  if (types.isWeakSet(value)) return cannot('a WeakSet')
  if (types.isGeneratorObject(value)) return cannot('a generator')
  if (types.isMapIterator(value) || types.isSetIterator(value)) return cannot('an iterator')
  if (types.isModuleNamespaceObject(value)) return cannot('a module')
  if (types.isArgumentsObject(value)) return cannot('an arguments object', 'Send [...arguments] instead.')
  if (types.isExternal(value)) return cannot('a native handle')
  return undefined
}

class Search {
  readonly #canWrite: CanWrite
  readonly #seen = new Set<object>()
  readonly #path: string[] = []

  constructor(canWrite: CanWrite) {
    this.#canWrite = canWrite
  }

  find(value: unknown, depth: number): Finding | undefined {
    const reason = unclonable(value)
    if (reason !== undefined) return this.#finding(reason)
    if (typeof value !== 'object' || value === null || this.#seen.has(value)) return undefined
    this.#seen.add(value)
    if (depth > MAX_DEPTH)
      return this.#finding(`is nested more than ${MAX_DEPTH} levels deep. Send a flatter value instead.`)
    let leaf = true
    for (const [segment, read] of parts(value)) {
      this.#path.push(segment)
      let part: unknown
      try {
        part = read()
      } catch (thrown) {
        return this.#finding(`is a getter that throws (${messageOf(thrown)}). Send plain data instead.`, thrown)
      }
      if (typeof part === 'function' || typeof part === 'symbol' || (typeof part === 'object' && part !== null)) {
        leaf = false
        const found = this.find(part, depth + 1)
        if (found !== undefined) return found
      }
      this.#path.pop()
    }
    // Without parts of its own that could be to blame, V8's verdict is about this very object.
    if (leaf && !isError(value) && !this.#canWrite(value))
      return this.#finding(cannot(`an instance of ${className(value)}`))
    return undefined
  }

  #finding(reason: Reason, cause?: unknown): Finding {
    return { path: this.#path.join(''), reason, cause }
  }
}

/** Everything that is written with an object, each with how one would reach it. */
function* parts(value: object): Generator<[segment: string, read: () => unknown]> {
  if (ArrayBuffer.isView(value)) return
  if (types.isMap(value)) {
    let index = 0
    for (const [key, item] of Map.prototype.entries.call(value)) {
      yield [`.keys()[${index}]`, () => key]
      const byKey = typeof key === 'string' || typeof key === 'number' || typeof key === 'boolean'
      yield [byKey ? `.get(${JSON.stringify(key)})` : `.values()[${index}]`, () => item]
      index++
    }
    return
  }
  if (types.isSet(value)) {
    let index = 0
    for (const item of Set.prototype.values.call(value)) yield [`.values()[${index++}]`, () => item]
    return
  }
  if (isError(value)) {
    for (const key of ['name', 'message', 'stack', 'cause', 'errors', 'code']) {
      if (key in value) yield [`.${key}`, () => (value as unknown as Record<string, unknown>)[key]]
    }
  }
  const isArray = Array.isArray(value)
  for (const key of Object.keys(value)) {
    yield [segment(key, isArray), () => (value as Record<string, unknown>)[key]]
  }
}

function segment(key: string, isArray: boolean): string {
  if (isArray && /^\d+$/.test(key)) return `[${key}]`
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
}

function unclonableBuffer(buffer: ArrayBufferLike, prefix: string): Reason | undefined {
  if (types.isSharedArrayBuffer(buffer))
    return cannot(`${prefix}a SharedArrayBuffer`, 'Send a copy of its bytes instead.')
  if ((buffer as { resizable?: boolean }).resizable) {
    return cannot(`${prefix}a resizable ArrayBuffer`, 'Send a copy of its bytes, such as slice(), instead.')
  }
  if ((buffer as { detached?: boolean }).detached) return cannot(`${prefix}a detached ArrayBuffer`)
  return undefined
}

function cannot(what: string, instead = 'Send plain data instead.'): Reason {
  return `is ${what}, which cannot be cloned. ${instead}`
}

function className(value: object): string {
  try {
    const name: unknown = value.constructor?.name
    return typeof name === 'string' && name !== '' ? name : 'an unnamed class'
  } catch {
    return 'an unnamed class'
  }
}

function messageOf(thrown: unknown): string {
  try {
    return isError(thrown) ? errorParts(thrown, true).message || 'an error without a message' : String(thrown)
  } catch {
    return 'something that cannot be shown'
  }
}
