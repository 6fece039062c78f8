import { types } from 'node:util'
import { Deserializer, Serializer } from 'node:v8'
import {
  classOf,
  define,
  type ErrorField,
  type ErrorLimits,
  type ErrorParts,
  errorParts,
  fillError,
  isError,
  newError,
} from './errors.js'
import { hasItemsOnly, MAX_DEPTH } from './plain.js'
import { unclonable } from './refusal.js'

// The structured clone as V8 writes it, except for views and errors, which are "host objects" of our own:
//
//   uint32 number of errors, value, and if there are errors: an array of their pieces
//   view of a whole buffer:   uint32 its class * 2 + 1, the buffer as a value (so that V8 sees who else refers to it)
//   view of a part:           uint32 its class * 2, uint32 length, bytes
//   error:                    uint32 ERROR, uint32 index, uint32 class
//
// V8 offers no hook for errors. Where there are some, a copy of what contains them is written, with a carrier (an empty
// view) in the place of each error: V8 itself then keeps track of shared references and cycles.

const ERROR = 1000

// The order is part of the wire format: append only. Buffer arrives as Buffer, as with Node's own 'advanced'.
const VIEWS = [
  'Buffer',
  'DataView',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'Float16Array',
]

type ViewClass = new (buffer: ArrayBufferLike) => ArrayBufferView

/** What @types/node leaves out; it is documented by Node.js. */
interface ViewsAsHostObjects {
  _setTreatArrayBufferViewsAsHostObjects(flag: boolean): void
}

const typedArrayTag = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)

/**
 * Writes a value with all that the structured clone keeps, and errors with all that they carry. Throws whatever comes
 * when it cannot; `refusal` makes that readable.
 */
export function writeClone(value: unknown): Uint8Array {
  return containsError(value, 0, new Set()) ? writeErrors(value) : new Writer().finish(value, [])
}

/**
 * The same for a value that contains errors. With `limits` the errors are cut to them; with `prune` they also lose the
 * fields that cannot be written.
 */
export function writeErrors(value: unknown, limits?: ErrorLimits, prune = false): Uint8Array {
  const writer = new Writer()
  const carriers = new Carriers(writer.carriers, limits, prune)
  const root = carriers.replace(value, 0)
  return writer.finish(root, carriers.records)
}

/** Whether V8 can write that value by itself. */
export function canWrite(value: unknown): boolean {
  try {
    new Writer().finish(value, [])
    return true
  } catch {
    return false
  }
}

/** Reads what `writeClone` wrote; throws if it is anything else. Nothing in the value shares memory with the bytes. */
export function readClone(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes)
  reader.readHeader()
  const errors = reader.readUint32()
  const root: unknown = reader.readValue()
  if (errors === 0 && reader.errors.size === 0) return root
  const records: unknown = reader.readValue()
  if (!Array.isArray(records) || records.length !== errors || reader.errors.size !== errors) throw corrupt()
  for (const [index, error] of reader.errors) fillError(error, toParts(records[index]))
  return root
}

class Writer extends Serializer {
  /** The views that stand for errors. */
  readonly carriers = new Map<object, { readonly index: number; readonly errorClass: number }>()

  finish(root: unknown, records: readonly unknown[]): Uint8Array {
    ;(this as unknown as ViewsAsHostObjects)._setTreatArrayBufferViewsAsHostObjects(true)
    this.writeHeader()
    this.writeUint32(records.length)
    this.writeValue(root)
    if (records.length > 0) this.writeValue(records)
    return this.releaseBuffer()
  }

  // Called by V8.
  _writeHostObject(object: object): void {
    const carrier = this.carriers.get(object)
    if (carrier !== undefined) {
      this.writeUint32(ERROR)
      this.writeUint32(carrier.index)
      this.writeUint32(carrier.errorClass)
      return
    }
    const viewClass = ArrayBuffer.isView(object) ? VIEWS.indexOf(viewName(object)) : -1
    const reason = viewClass < 0 ? 'is a native object, which cannot be cloned' : unclonable(object)
    if (reason !== undefined) throw new TypeError(`it ${reason}`)
    const { buffer, byteOffset, byteLength } = object as ArrayBufferView
    if (byteLength === buffer.byteLength) {
      this.writeUint32(viewClass * 2 + 1)
      this.writeValue(buffer)
    } else {
      // Most likely a piece of Node's pool, whose other pieces are nobody's business.
      this.writeUint32(viewClass * 2)
      this.writeUint32(byteLength)
      this.writeRawBytes(new Uint8Array(buffer, byteOffset, byteLength))
    }
  }
}

class Reader extends Deserializer {
  /** The errors met so far, empty until everything is read. */
  readonly errors = new Map<number, Error>()

  // Called by V8.
  _readHostObject(): object {
    const tag = this.readUint32()
    if (tag === ERROR) return this.#readError()
    const name = VIEWS[tag >> 1]
    if (name === undefined) throw corrupt()
    const buffer: unknown = tag % 2 === 1 ? this.readValue() : this.#readBytes(this.readUint32())
    if (!types.isArrayBuffer(buffer)) throw corrupt()
    if (name === 'Buffer') return Buffer.from(buffer)
    const viewClass = (globalThis as unknown as Record<string, ViewClass | undefined>)[name]
    if (viewClass === undefined) throw new TypeError(`This version of Node.js has no ${name}`)
    return new viewClass(buffer)
  }

  #readBytes(length: number): ArrayBuffer {
    // Throws if there are fewer, before anything is allocated. What it gives is a view of the input: copy it.
    return new Uint8Array(this.readRawBytes(length)).buffer
  }

  #readError(): Error {
    const index = this.readUint32()
    const error = newError(this.readUint32())
    if (error === undefined || this.errors.has(index)) throw corrupt()
    this.errors.set(index, error)
    return error
  }
}

/** Puts carriers in the place of errors, in copies of all that can contain some. */
class Carriers {
  readonly records: unknown[] = []
  readonly #carriers: Writer['carriers']
  readonly #limits: ErrorLimits | undefined
  readonly #prune: boolean
  readonly #copies = new Map<object, object>()

  constructor(carriers: Writer['carriers'], limits: ErrorLimits | undefined, prune: boolean) {
    this.#carriers = carriers
    this.#limits = limits
    this.#prune = prune
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
    return this.#prune && !isError(value) && !isErrorList(key, value) && !this.#isWritable(value)
  }

  #pruned(key: string, value: unknown): unknown {
    if (!this.#prune || !isErrorList(key, value)) return value
    return value.filter((item) => isError(item) || this.#isWritable(item))
  }

  #isWritable(value: unknown): boolean {
    try {
      writeErrors(value, this.#limits)
      return true
    } catch {
      return false
    }
  }

  #remember<T extends object>(original: object, copy: T): T {
    this.#copies.set(original, copy)
    return copy
  }
}

function containsError(value: unknown, depth: number, seen: Set<object>): boolean {
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

function viewName(view: ArrayBufferView): string {
  if (Buffer.isBuffer(view)) return 'Buffer'
  // The tag tells the true class, whatever class or realm the view claims to be of. A DataView has none.
  return (typedArrayTag?.get?.call(view) as string | undefined) ?? 'DataView'
}

function toParts(record: unknown): ErrorParts {
  if (!Array.isArray(record) || record.length !== 4) throw corrupt()
  const [name, message, stack, fields] = record as unknown[]
  const areText = [name, message, stack].every((text) => text === undefined || typeof text === 'string')
  if (!areText || !Array.isArray(fields) || !fields.every(isErrorField)) throw corrupt()
  return { name, message, stack, fields } as ErrorParts
}

function isErrorField(field: unknown): field is ErrorField {
  return Array.isArray(field) && field.length === 3 && typeof field[0] === 'string' && typeof field[2] === 'boolean'
}

function corrupt(): TypeError {
  return new TypeError('The bytes are not those of an encoded value')
}
