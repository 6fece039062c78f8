import { types } from 'node:util'
import { classOf, define, type ErrorLimits, errorParts, isError, MAX_ERRORS } from './errors.js'
import { hasItemsOnly, MAX_DEPTH } from './plain.js'
import { unclonable } from './refusal.js'

/** The error that a view stands for. */
export interface Carrier {
  readonly index: number
  readonly errorClass: number
}

/** Puts carriers in the place of errors, in copies of all that can contain some. */
export class Carriers {
  /** The pieces of the errors, in the order of their indices. */
  readonly records: unknown[] = []
  readonly #carriers: Map<object, Carrier>
  readonly #limits: ErrorLimits | undefined
  readonly #isWritable: ((value: unknown) => boolean) | undefined
  readonly #copies = new Map<object, object>()

  /**
   * @param carriers Where they are put down.
   * @param limits What the errors are cut to.
   * @param isWritable Given, fields of which it says no stay behind.
   */
  constructor(
    carriers: Map<object, Carrier>,
    limits: ErrorLimits | undefined,
    isWritable: ((value: unknown) => boolean) | undefined,
  ) {
    this.#carriers = carriers
    this.#limits = limits
    this.#isWritable = isWritable
  }

  replace(value: unknown, depth: number, causes = 0): unknown {
    if (typeof value !== 'object' || value === null) return value
    const known = this.#copies.get(value)
    if (known !== undefined) return known
    checkDepth(depth)
    if (isError(value)) return this.#replaceError(value, depth, causes)
    if (isOpaque(value)) return value
    const inside = (part: unknown) => this.replace(part, depth + 1, causes)
    if (types.isMap(value)) {
      const copy = this.#remember(value, new Map())
      for (const [key, item] of Map.prototype.entries.call(value)) copy.set(inside(key), inside(item))
      return copy
    }
    if (types.isSet(value)) {
      const copy = this.#remember(value, new Set())
      for (const item of Set.prototype.values.call(value)) copy.add(inside(item))
      return copy
    }
    const copy: object = this.#remember(value, Array.isArray(value) ? emptyArray(value.length) : {})
    for (const key of Object.keys(value)) define(copy, key, inside((value as Record<string, unknown>)[key]), true)
    return copy
  }

  #replaceError(error: Error, depth: number, causes: number): object {
    const carrier = this.#remember(error, new Uint8Array(0))
    const index = this.records.length
    this.#carriers.set(carrier, { index, errorClass: classOf(error) })
    this.records.push(undefined)
    const { name, message, stack, fields } = errorParts(error, this.#limits !== undefined)
    const kept = fields.flatMap(([key, value, enumerable]) =>
      this.#drops(key, value, causes)
        ? []
        : [[key, this.replace(this.#pruned(key, value), depth + 1, causes + 1), enumerable]],
    )
    const cutMessage = message?.slice(0, this.#limits?.message)
    this.records[index] = [
      name?.slice(0, this.#limits?.message),
      cutMessage,
      stack?.slice(0, this.#limits?.stack),
      kept,
    ]
    return carrier
  }

  #drops(key: string, value: unknown, causes: number): boolean {
    if (this.#limits === undefined) return false
    if (causes >= this.#limits.causes && (key === 'cause' || key === 'errors' || isError(value))) return true
    if (!this.#isWritable || isError(value) || isErrorList(key, value)) return false
    return !this.#isWritable(value)
  }

  #pruned(key: string, value: unknown): unknown {
    const isWritable = this.#isWritable
    if (!isWritable || !isErrorList(key, value)) return value
    return value.slice(0, MAX_ERRORS).filter((item) => isError(item) || isWritable(item))
  }

  #remember<T extends object>(original: object, copy: T): T {
    this.#copies.set(original, copy)
    return copy
  }
}

/** Whether it is an error, or there is one in it. */
export function containsError(value: unknown, depth = 0, seen = new Set<object>()): boolean {
  if (typeof value !== 'object' || value === null || seen.has(value)) return false
  seen.add(value)
  checkDepth(depth)
  if (isError(value)) return true
  if (isOpaque(value)) return false
  if (types.isMap(value)) {
    for (const [key, item] of Map.prototype.entries.call(value)) {
      if (containsError(key, depth + 1, seen) || containsError(item, depth + 1, seen)) return true
    }
    return false
  }
  if (types.isSet(value)) {
    for (const item of Set.prototype.values.call(value)) if (containsError(item, depth + 1, seen)) return true
    return false
  }
  // A sparse array can be very long: walk what it has, not what it might have.
  if (Array.isArray(value) && hasItemsOnly(value) && (value.length < 1000 || !value.includes(undefined))) {
    return value.some((item) => containsError(item, depth + 1, seen))
  }
  return Object.keys(value).some((key) => containsError((value as Record<string, unknown>)[key], depth + 1, seen))
}

/** What V8 writes, or refuses, without looking at its properties. */
function isOpaque(value: object): boolean {
  if (types.isAnyArrayBuffer(value)) {
    const reason = unclonable(value)
    if (reason !== undefined) throw new TypeError(`it ${reason}`)
    return true
  }
  if (ArrayBuffer.isView(value) || types.isDate(value) || types.isRegExp(value) || types.isBoxedPrimitive(value))
    return true
  if (unclonable(value) !== undefined) return true
  // V8 has still other things that it refuses, and that a copy would hide: WeakRef, Intl.*, … They have no fields.
  const prototype = Object.getPrototypeOf(value)
  return (
    prototype !== Object.prototype &&
    prototype !== null &&
    !Array.isArray(value) &&
    !types.isMap(value) &&
    !types.isSet(value) &&
    Object.keys(value).length === 0
  )
}

function checkDepth(depth: number): void {
  if (depth > MAX_DEPTH) throw new RangeError(`it is nested more than ${MAX_DEPTH} levels deep`)
}

function emptyArray(length: number): unknown[] {
  const array: unknown[] = []
  array.length = length
  return array
}

function isErrorList(key: string, value: unknown): value is unknown[] {
  return key === 'errors' && Array.isArray(value)
}
