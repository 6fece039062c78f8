import { types } from 'node:util'
import { Deserializer, Serializer } from 'node:v8'
import { type Carrier, Carriers, containsError } from './carriers.js'
import { type ErrorField, type ErrorLimits, type ErrorParts, fillError, MAX_FIELD_BYTES, newError } from './errors.js'
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
  return containsError(value) ? writeErrors(value) : new Writer().finish(value, [])
}

/**
 * The same for a value that contains errors. With `limits` the errors are cut to them; with `prune` they also lose the
 * fields that cannot be written, or are large.
 */
export function writeErrors(value: unknown, limits?: ErrorLimits, prune = false): Uint8Array {
  const writer = new Writer()
  const isWritable = prune ? (part: unknown) => isSmall(part, limits) : undefined
  const carriers = new Carriers(writer.carriers, limits, isWritable)
  const root = carriers.replace(value, 0)
  return writer.finish(root, carriers.records)
}

function isSmall(value: unknown, limits: ErrorLimits | undefined): boolean {
  try {
    return writeErrors(value, limits).byteLength <= MAX_FIELD_BYTES
  } catch {
    return false
  }
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
  readonly carriers = new Map<object, Carrier>()

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
    const errorClass = this.readUint32()
    const error = withoutFrames(() => newError(errorClass))
    if (error === undefined || this.errors.has(index)) throw corrupt()
    this.errors.set(index, error)
    return error
  }
}

/**
 * The frames that an error is made in hold the reader, and V8's half of a reader holds what was read: if the rest cannot
 * be read, that circle would stay for ever.
 */
function withoutFrames<T>(make: () => T): T {
  const { stackTraceLimit } = Error
  // Not an assignment, which throws where intrinsics are frozen.
  Reflect.set(Error, 'stackTraceLimit', 0)
  try {
    return make()
  } finally {
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit)
  }
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
