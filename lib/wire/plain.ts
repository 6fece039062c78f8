import { inspect, types } from 'node:util'

/**
 * How many levels deep a value may be nested. V8 reads fewer levels than it writes before its stack is full (about
 * 1,900 and 3,000), so without a bound of our own a value could leave one process and break in the next.
 */
export const MAX_DEPTH = 1000

/** Up to here a linear scan beats a Set. */
const NEAR = 16
/** Up to here `Object.keys` beats the fixed cost of `inspect`. */
const SHORT_ARRAY = 64
/** An object with more fields is no small message, and not worth a copy. */
const MAX_FLAT_FIELDS = 128

// Both live between calls so that a small value costs no allocation; nothing stays in them after a call.
const near: (object | undefined)[] = new Array(NEAR).fill(undefined)
let count = 0
let far: Set<object> | undefined

/**
 * Whether JSON carries the value exactly as the structured clone would: no `undefined`, `-0`, `NaN`, holes, `toJSON`,
 * other prototypes, repeated references, and so on. Refusing needlessly is allowed, accepting wrongly is not, but for what
 * somebody has given both the plain prototype and fields: a Map so disguised travels as its fields. Getters
 * are called, and called again by whoever then writes the value.
 */
export function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return isPlainPrimitive(value)
  return isFlat(value) || check(value, isRootPlain)
}

/** The usual message: there are no objects in it that would have to be remembered, to find them when they come again. */
function isFlat(value: object): boolean {
  try {
    return !Array.isArray(value) && hasPlainShape(value) && flatLength(value, Number.POSITIVE_INFINITY) >= 0
  } catch {
    // A getter threw: the slow path finds out where, and says so.
    return false
  }
}

/** What has to be escaped takes up to so many times its length. */
export const MAX_ESCAPED = 6

/**
 * A copy of the usual message, an object whose fields are all primitives, or `undefined` for what cannot be one. Whether
 * they are is for `flatLength` to say, of the copy: a getter may give something else each time.
 */
export function flatCopy(value: unknown): object | undefined {
  try {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    // First of all, because it is the cheapest way to tell messages that are not flat.
    let fields = 0
    for (const key in value) {
      if (++fields > MAX_FLAT_FIELDS || isObject((value as Record<string, unknown>)[key])) return undefined
    }
    return hasPlainShape(value) ? { ...value } : undefined
  } catch {
    // A getter threw: whoever then encodes the value finds out where, and says so.
    return undefined
  }
}

/**
 * About how many characters of JSON an object has, if nothing in it has to be escaped; -1 if it has no fields, or others
 * than primitives that JSON carries exactly, or is longer than `max`.
 */
export function flatLength(value: object, max: number): number {
  let length = 0
  for (const key in value) {
    const field = (value as Record<string, unknown>)[key]
    if (typeof field === 'string') length += field.length
    else if (!isPlainPrimitive(field)) return -1
    // Quotes, colon and comma, and a number.
    length += key.length + 8
    if (length > max) return -1
  }
  return length === 0 ? -1 : length
}

/** Whether each of a function's arguments is plain, and none is repeated: the list itself is known to be a plain array. */
export function arePlain(args: readonly unknown[]): boolean {
  return check(args, areItemsPlain)
}

const isRootPlain = (value: object) => isPlainObject(value, 0)
const areItemsPlain = (args: object) => arePlainItems(args as readonly unknown[], 0)

function check(value: object, isPlain: (value: object) => boolean): boolean {
  // A getter may send something itself, so that a call can begin inside another.
  const base = count
  const outer = far
  far = undefined
  try {
    return isPlain(value)
  } catch {
    // A getter threw or the stack is full: the slow path finds out where, and says so.
    return false
  } finally {
    for (let i = base; i < count; i++) near[i] = undefined
    count = base
    far = outer
  }
}

/**
 * Whether an array has no own enumerable properties besides its items. It may answer either way if there are holes.
 */
export function hasItemsOnly(array: readonly unknown[]): boolean {
  if (array.length > SHORT_ARRAY) {
    // Listing the keys of a long array costs as much as writing it. `inspect` knows the other keys without listing
    // those, and an unexpected output only means that we count them after all.
    const shown = inspect(array, {
      maxArrayLength: 0,
      depth: 0,
      breakLength: Infinity,
      compact: true,
      customInspect: false,
    })
    if (shown === `[ ... ${array.length} more items ]`) return true
  }
  return Object.keys(array).length === array.length
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

function isPlainPrimitive(value: unknown): boolean {
  // NaN and the infinities are not 0 away from themselves. Written for speed: this runs for every number there is.
  if (typeof value === 'number') return value - value === 0 && (value !== 0 || 1 / value > 0)
  return typeof value === 'string' || typeof value === 'boolean' || value === null
}

function isPlainObject(value: object, depth: number): boolean {
  if (depth > MAX_DEPTH || isRepeat(value)) return false
  if (Array.isArray(value)) {
    return (
      Object.getPrototypeOf(value) === Array.prototype &&
      !types.isProxy(value) &&
      typeof (value as { toJSON?: unknown }).toJSON !== 'function' &&
      hasItemsOnly(value) &&
      arePlainItems(value, depth)
    )
  }
  return hasPlainShape(value) && arePlainFields(value as Record<string, unknown>, depth)
}

function arePlainItems(array: readonly unknown[], depth: number): boolean {
  for (let i = 0; i < array.length; i++) {
    const item = array[i]
    if (typeof item === 'object' && item !== null ? !isPlainObject(item, depth + 1) : !isPlainPrimitive(item))
      return false
  }
  return true
}

function arePlainFields(value: Record<string, unknown>, depth: number): boolean {
  let empty = true
  // Inherited keys appear only if somebody extended Object.prototype; then they are checked in vain, harmlessly.
  for (const key in value) {
    empty = false
    const field = value[key]
    if (typeof field === 'object' && field !== null ? !isPlainObject(field, depth + 1) : !isPlainPrimitive(field)) {
      return false
    }
  }
  return !empty || !isDisguised(value)
}

function hasPlainShape(value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && (prototype !== null || types.isModuleNamespaceObject(value) || isRaw(value))) {
    return false
  }
  return (
    !types.isProxy(value) &&
    typeof (value as { toJSON?: unknown }).toJSON !== 'function' &&
    // `arguments` has the plain prototype too, and so has a Date that was given it.
    Object.prototype.toString.call(value) === '[object Object]' &&
    !ArrayBuffer.isView(value)
  )
}

/** What `JSON.rawJSON` makes, where there is such a thing: JSON writes it as anything at all. */
function isRaw(value: object): boolean {
  const { isRawJSON } = JSON as { isRawJSON?: (value: unknown) => boolean }
  return isRawJSON?.(value) ?? false
}

/** Something with inner state that was given a plain prototype; it looks like `{}`, so only empty objects pay for this. */
function isDisguised(value: object): boolean {
  return (
    types.isMap(value) ||
    types.isSet(value) ||
    types.isAnyArrayBuffer(value) ||
    types.isBoxedPrimitive(value) ||
    types.isPromise(value) ||
    types.isWeakMap(value) ||
    types.isWeakSet(value) ||
    types.isGeneratorObject(value) ||
    types.isMapIterator(value) ||
    types.isSetIterator(value) ||
    types.isExternal(value)
  )
}

function isRepeat(value: object): boolean {
  if (count < NEAR) {
    for (let i = 0; i < count; i++) if (near[i] === value) return true
    near[count++] = value
    return false
  }
  far ??= new Set(near as object[])
  if (far.has(value)) return true
  far.add(value)
  return false
}
