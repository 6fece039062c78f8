import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { isDeepStrictEqual } from 'node:util'
import { createContext, runInContext, runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { test } from 'uvu'
import { HubError } from '#lib/errors.js'
import {
  type Body,
  decodeArguments,
  decodeError,
  decodeValue,
  encodeArguments,
  encodeError,
  encodeValue,
  MAX_CAUSES,
  MAX_ERROR_BYTES,
  MAX_ERROR_MESSAGE,
  MAX_ERROR_STACK,
} from '#lib/wire/codec.js'
import { markStack } from '#lib/wire/errors.js'
import { flatCopy, flatLength, isPlain, MAX_DEPTH, MAX_ESCAPED } from '#lib/wire/plain.js'
import { heap } from './heap.js'

type Fields = Record<string, unknown>

function send<T>(value: T): T {
  const { text, bytes } = encodeValue(value, 'the value')
  if (bytes !== undefined) assert.equal(text, '')
  return decodeValue(text, bytes) as T
}

function sendError(error: unknown): Error & Fields {
  const { text, bytes } = encodeError(error)
  return decodeError(text, bytes, 'member "mailer"') as Error & Fields
}

/** Whether `a` refers to the same things at the same places as `b` does. */
function sameShape(
  a: unknown,
  b: unknown,
  seen = new Map<unknown, unknown>(),
  back = new Map<unknown, unknown>(),
): boolean {
  if (typeof a !== 'object' || a === null) return true
  if (seen.has(a) || back.has(b)) return seen.get(a) === b && back.get(b) === a
  seen.set(a, b)
  back.set(b, a)
  return (
    isDeepStrictEqual(Object.keys(a), Object.keys(b as object)) &&
    parts(a).every((part, i) => sameShape(part, parts(b)[i], seen, back))
  )
}

function parts(value: unknown): unknown[] {
  if (value instanceof Map) return [...value].flat()
  if (value instanceof Set) return [...value]
  if (ArrayBuffer.isView(value)) return [value.buffer]
  return Object.values(value as object)
}

function refuses(
  value: unknown,
  pattern: RegExp | string,
  encode: (value: never, what: string) => Body = encodeValue,
): HubError {
  try {
    encode(value as never, 'the input of task "email.send"')
  } catch (error) {
    assert.ok(error instanceof HubError, String(error))
    assert.equal(error.code, 'ERR_HUB_PAYLOAD')
    if (typeof pattern === 'string')
      assert.equal(error.message, `Cannot send the input of task "email.send": ${pattern}`)
    else assert.match(error.message, pattern)
    return error
  }
  throw new assert.AssertionError({ message: 'It was not refused' })
}

const PROTOCOL = { code: 'ERR_HUB_PROTOCOL' }
const cyclic: Fields = {}
cyclic.self = cyclic
const inherited = Object.create(null, { toJSON: { value: () => 1 } })

// The fast path

test('plain data travels as JSON text', () => {
  const value = {
    d: 'x',
    n: [1, -1.5, 0, 1e300],
    t: true,
    f: false,
    z: null,
    o: { a: [[]], e: {} },
    '': '',
    'ß 漢 😀': '\u2028',
  }
  assert.deepEqual(encodeValue(value, ''), { text: JSON.stringify(value), bytes: undefined })
  assert.deepEqual(send(value), value)
  for (const plain of ['', 'text', 0, 12, true, null, [], {}]) {
    assert.deepEqual(encodeValue(plain, ''), { text: JSON.stringify(plain), bytes: undefined })
    assert.equal(isDeepStrictEqual(send<unknown>(plain), plain), true)
  }
})

test('undefined is the empty text, which nothing else is', () => {
  assert.deepEqual(encodeValue(undefined, ''), { text: '', bytes: undefined })
  assert.equal(decodeValue('', undefined), undefined)
})

test('null prototypes, own __proto__ keys and lone surrogates keep to the fast path', () => {
  const bare = Object.assign(Object.create(null), { a: 1 })
  const own = JSON.parse('{"__proto__":{"polluted":1},"b":2}') as Fields
  for (const value of [bare, own, ['\ud800', 'a\udc00b', { '\udfff': '\udbff' }]]) {
    assert.equal(isPlain(value), true)
    assert.deepEqual(send(value), structuredClone(value))
  }
  assert.deepEqual(Object.keys(send(own)), ['__proto__', 'b'])
  assert.equal((send(own) as { polluted?: number }).polluted, undefined)
  assert.equal(({} as { polluted?: number }).polluted, undefined)
})

const shared = {}
// biome-ignore lint/suspicious/noSparseArray: holes are what this is about
const holes = [1, , 3]
class Point {
  x = 1
}
const refused: [string, unknown][] = [
  ['undefined', { a: undefined }],
  ['undefined in an array', [undefined]],
  ['-0', -0],
  ['-0 inside', [{ a: [-0] }]],
  ['NaN', { a: NaN }],
  ['Infinity', [Infinity, -Infinity]],
  ['bigint', 1n],
  ['holes', holes],
  ['a trailing hole', Object.assign([1], { length: 2 })],
  ['extra properties of an array', Object.assign([1], { extra: 1 })],
  ['extra properties of a long array', Object.assign(new Array(1000).fill(1), { extra: 1 })],
  ['extra properties of an empty array', Object.assign([], { extra: 1 })],
  ['a regular expression match', /b(?<c>c)/.exec('abc')],
  ['a class instance', new Point()],
  ['an inheriting object', Object.create({ a: 1 })],
  ['a subclass of Array', new (class extends Array {})(3)],
  ['toJSON of its own', { a: 1, toJSON: undefined }],
  ['an inherited toJSON', Object.create({ toJSON: () => 1 })],
  ['a Date', new Date(1)],
  ['a repeated reference', [shared, shared]],
  ['a repeated array', { a: holes, b: holes }],
  ['a late repeated reference', [shared, ...Array.from({ length: 200 }, () => ({})), shared]],
  ['two late references', [...Array.from({ length: 200 }, () => ({})), shared, shared]],
  ['a cycle', cyclic],
  ['boxed primitives', [Object(1), Object('a'), Object(true), Object(1n)]],
  ['a Map with a plain prototype', Object.setPrototypeOf(new Map([[1, 2]]), Object.prototype)],
  ['a Date with a plain prototype', Object.setPrototypeOf(new Date(1), Object.prototype)],
  ['another realm', runInNewContext('({ a: [1] })')],
  ['an array of another realm', [runInNewContext('[1, 2]')]],
]
for (const [name, value] of refused) {
  test(`the fast path refuses ${name}, which arrives as cloned`, () => {
    assert.equal(isPlain(value), false)
    assert.notEqual(encodeValue(value, '').bytes, undefined)
    assert.deepEqual(send(value), structuredClone(value))
    assert.equal(sameShape(send(value), structuredClone(value)), true)
  })
}

test('the fast path refuses a hidden toJSON, which JSON would call', () => {
  assert.equal(isPlain(inherited), false)
  assert.deepEqual(send(inherited), {})
  assert.equal(isPlain(Object.defineProperty([1], 'toJSON', { value: () => 1 })), false)
  Object.defineProperty(Object.prototype, 'toJSON', { value: () => 'no', configurable: true })
  try {
    assert.equal(isPlain({ a: 1 }), false)
    assert.equal(isPlain([1]), false)
  } finally {
    Reflect.deleteProperty(Object.prototype, 'toJSON')
  }
})

test('a value may be sent from within a getter of another', () => {
  const item = { deep: [1] }
  const outer = {
    first: item,
    get inner() {
      assert.equal(isPlain({ a: { b: {} }, c: [] }), true)
      return 1
    },
    last: item,
  }
  assert.equal(isPlain(outer), false)
  assert.equal(isPlain({ ...outer, last: 1 }), true)
  assert.equal(isPlain(item), true, 'nothing is remembered from one call to the next')
})

const keys = fc.oneof(fc.string({ maxLength: 3 }), fc.constantFrom('__proto__', 'toJSON', 'constructor', 'length', '0'))
const { plain } = fc.letrec<{ plain: unknown }>((tie) => ({
  plain: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.double(),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.constant(undefined),
    ),
    fc.array(tie('plain'), { maxLength: 5 }),
    fc.dictionary(keys, tie('plain'), { maxKeys: 4 }),
    fc.tuple(tie('plain')).map(([part]) => [part, part]),
    fc.tuple(keys, tie('plain')).map(([key, part]) =>
      Object.defineProperty([part], key === 'length' ? 'l' : key, {
        value: part,
        enumerable: true,
        configurable: true,
        writable: true,
      }),
    ),
    fc.array(fc.integer(), { minLength: 1, maxLength: 3 }).map((list) => Object.assign([], { [list.length]: 1 })),
    fc.constantFrom(-0, 1n, new Date(0), Object(1), /a/g),
  ),
}))

test('isPlain refuses exactly what JSON would change', () => {
  fc.assert(
    fc.property(plain, (value) => {
      const clone = structuredClone(value)
      let json: unknown
      try {
        json = JSON.parse(JSON.stringify(value) ?? 'null')
      } catch {
        json = new Error('JSON cannot write it')
      }
      const exact = isDeepStrictEqual(json, clone) && sameShape(json, clone)
      assert.equal(isPlain(value), exact)
    }),
    { numRuns: 3000 },
  )
})

test('what is taken for flat arrives as its copy is written, and is no longer than reckoned', () => {
  const flat = fc.dictionary(
    keys,
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('\0'.repeat(50), '"\\', '\ud800', -1.234567890123456e-300, -0, Number.NaN, null, undefined, 1n),
      fc.double(),
      fc.boolean(),
      fc.object({ maxDepth: 0 }),
    ),
    { maxKeys: 6 },
  )
  const disguised = [new Map([[1, 2]]), new Set([1]), new Date(0), new Uint8Array(3), Promise.resolve(), Object(1)].map(
    (value) => Object.setPrototypeOf(value, Object.prototype),
  )
  const odd = fc.constantFrom<unknown>(
    ...disguised,
    ...[
      null,
      undefined,
      1,
      'x',
      [],
      [1],
      {},
      Object.create(null),
      new Proxy({ a: 1 }, {}),
      new (class {
        a = 1
      })(),
    ],
    ...[{ toJSON: () => 1 }, { toJSON: 1 }, { a: {} }, { a: () => {} }, { a: Symbol() }, Object.create({ a: 1 })],
    ...[Object.assign(Object.create(null), { a: 1 }), { ['__proto__']: 1 }, { [Symbol('s')]: 1, a: 1 }],
  )
  let taken = 0
  fc.assert(
    fc.property(fc.oneof({ weight: 5, arbitrary: flat }, { weight: 1, arbitrary: odd }), (value) => {
      const copy = flatCopy(value)
      const length = copy ? flatLength(copy, 1e9) : -1
      if (length < 0) return
      taken++
      const text = JSON.stringify(copy)
      assert.ok(isPlain(value))
      assert.equal(text, encodeValue(value, 'the value').text)
      assert.ok(text.length <= length * MAX_ESCAPED, `${text.length} of ${length}`)
      assert.equal(flatLength(copy as object, length), length)
      assert.equal(flatLength(copy as object, length - 1), -1)
    }),
    { numRuns: 5000 },
  )
  assert.ok(taken > 500, `${taken} were flat`)
})

test('what has many fields is not copied', () => {
  const fields = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, i]))
  assert.deepEqual(flatCopy(fields(128)), fields(128))
  assert.equal(flatCopy(fields(129)), undefined)
})

// The slow path

const node = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, -0, NaN, Infinity, 0n, -(2n ** 70n), true, '', '\ud800', '漢字', /a+/giu),
  fc.double(),
  fc.string(),
  fc.bigInt(),
  // To some versions of Node.js no invalid Date equals another.
  fc.date({ noInvalidDate: true }),
  fc.constantFrom(1, 'a', true, 5n).map((value) => Object(value) as unknown),
  fc.uint8Array({ maxLength: 9 }),
  fc.float64Array({ maxLength: 4 }),
  fc.bigInt64Array({ maxLength: 4 }),
  fc.uint16Array({ maxLength: 4 }).map((view) => view.buffer),
  fc.uint8Array({ maxLength: 4 }).map((view) => new DataView(view.buffer)),
)
const container = fc.constantFrom('object', 'array', 'map', 'set', 'instance', 'sparse')

/** Any graph: containers whose links go to any other, so that there are cycles and shared parts. */
const graph = fc
  .record({
    containers: fc.array(container, { minLength: 1, maxLength: 8 }),
    leaves: fc.array(node, { minLength: 1, maxLength: 6 }),
    links: fc.array(fc.tuple(fc.nat(), fc.nat(), keys), { maxLength: 25 }),
  })
  .map(({ containers, leaves, links }) => {
    const all: unknown[] = containers.map((kind) => {
      if (kind === 'map') return new Map()
      if (kind === 'set') return new Set()
      return kind === 'array' ? [] : kind === 'sparse' ? new Array(5) : kind === 'instance' ? new Point() : {}
    })
    const targets = [...all, ...leaves]
    for (const [from, to, key] of links) {
      const source = all[from % all.length]
      const target = targets[to % targets.length]
      if (source instanceof Map) source.set(targets[key.length % targets.length], target)
      else if (source instanceof Set) source.add(target)
      else if (Array.isArray(source)) source[key === '0' ? 7 : source.length] = target
      else Object.defineProperty(source, key, { value: target, enumerable: true, configurable: true, writable: true })
    }
    return targets
  })

test('an invalid Date arrives as one', () => {
  const arrived = send([new Date(NaN)]) as [Date]
  assert.equal(arrived[0] instanceof Date, true)
  assert.equal(arrived[0].getTime(), NaN)
})

test('any graph arrives as structuredClone gives it, with what it shares', () => {
  fc.assert(
    fc.property(graph, (value) => {
      const clone = structuredClone(value)
      assert.deepEqual(send(value), clone)
      assert.equal(sameShape(send(value), clone), true)
      const args = encodeArguments(value, 'event')
      assert.deepEqual(decodeArguments(args.text, args.bytes), clone)
    }),
    { numRuns: 2000 },
  )
})

test('any graph with an error in it arrives in the same shape', () => {
  fc.assert(
    fc.property(graph, (value) => {
      const error = Object.assign(new TypeError('odd'), { code: 'E_ODD', all: value })
      const arrived = send({ before: error, value, after: new Set([error]) })
      assert.deepEqual(arrived.value, structuredClone(value))
      assert.equal(sameShape(arrived.value, structuredClone(value)), true)
      assert.equal(arrived.before instanceof TypeError, true)
      assert.equal(arrived.before.all, arrived.value)
      assert.equal(arrived.after.has(arrived.before), true)
    }),
    { numRuns: 1000 },
  )
})

test('every view class arrives as itself, whole or in part', () => {
  const source = Uint8Array.from({ length: 64 }, (_, i) => i * 7).buffer
  const names = [
    'Int8',
    'Uint8',
    'Uint8Clamped',
    'Int16',
    'Uint16',
    'Int32',
    'Uint32',
    'Float32',
    'Float64',
    'BigInt64',
    'BigUint64',
  ]
  if ('Float16Array' in globalThis) names.push('Float16')
  for (const name of names) {
    const View = (globalThis as unknown as Record<string, new (...args: unknown[]) => Uint8Array>)[`${name}Array`]
    assert.ok(View)
    for (const view of [new View(source), new View(source, 8, 2), new View(0)]) {
      const arrived = send(view)
      assert.equal(arrived.constructor, View)
      assert.deepEqual(arrived, view)
      assert.equal(arrived.buffer.byteLength, view.byteLength)
    }
  }
  const view = send(new DataView(source, 3, 5))
  assert.ok(view instanceof DataView)
  assert.deepEqual(new Uint8Array(view.buffer), new Uint8Array(source, 3, 5))
  class Own extends Uint16Array {}
  assert.equal(send<object>(new Own(2)).constructor, Uint16Array)
})

test('a Buffer arrives as a Buffer, without the pool around it', () => {
  const secret = Buffer.from('secret')
  const arrived = send({
    a: Buffer.from('hello'),
    b: secret,
    none: Buffer.alloc(0),
    whole: Buffer.from(new ArrayBuffer(4)),
  })
  for (const buffer of Object.values(arrived)) assert.ok(Buffer.isBuffer(buffer))
  assert.equal(arrived.a.toString(), 'hello')
  assert.equal(arrived.a.buffer.byteLength, 5)
  assert.equal(arrived.whole.byteLength, 4)
  assert.equal(Buffer.from(encodeValue(Buffer.from('hello'), '').bytes as Uint8Array).includes('secret'), false)
})

test('whole views keep sharing their buffer, also with the buffer itself', () => {
  const buffer = new ArrayBuffer(16)
  const arrived = send({
    bytes: new Uint8Array(buffer),
    words: new Uint32Array(buffer),
    buffer,
    part: new Uint8Array(buffer, 4, 4),
  })
  assert.equal(arrived.bytes.buffer, arrived.buffer)
  assert.equal(arrived.words.buffer, arrived.buffer)
  arrived.words[1] = 0x01010101
  assert.equal(arrived.bytes[4], 1)
  assert.notEqual(arrived.part.buffer, arrived.buffer)
  const view = new Uint8Array(3)
  const twice = send([view, view])
  assert.equal(twice[0], twice[1])
})

test('received binary owns its memory', () => {
  const value = {
    view: new Uint8Array([1, 2]),
    part: Buffer.from('ab'),
    buffer: new Uint8Array([3]).buffer,
    wide: '漢',
  }
  const { bytes } = encodeValue(value, '')
  assert.ok(bytes)
  // At an odd offset too, as within a batch.
  const shifted = new Uint8Array(bytes.length + 3)
  shifted.set(bytes, 3)
  const arrived = decodeValue('', shifted.subarray(3)) as typeof value
  shifted.fill(0xff)
  assert.deepEqual(arrived, value)
})

test('1 MB of bytes is copied, not walked', () => {
  const value = new Uint8Array(1024 * 1024).fill(7)
  const start = process.hrtime.bigint()
  for (let i = 0; i < 10; i++) assert.equal(send(value).length, value.length)
  assert.ok(process.hrtime.bigint() - start < 500_000_000n)
})

test('long sparse arrays are not walked', () => {
  const sparse: unknown[] = []
  sparse[4_000_000_000] = { a: undefined }
  const arrived = send(sparse)
  assert.equal(arrived.length, 4_000_000_001)
  assert.deepEqual(arrived[4_000_000_000], { a: undefined })
  sparse[3_000_000_000] = new Error('far')
  assert.equal((send(sparse)[3_000_000_000] as Error).message, 'far')
})

// Errors inside values

test('an error anywhere keeps its class, code, cause, stack and own fields', () => {
  const cause = Object.assign(new RangeError('inner'), { errno: -2 })
  const error = Object.assign(new TypeError('outer', { cause }), {
    code: 'E_OUTER',
    detail: { at: new Date(5), list: [1, undefined] },
  })
  for (const arrived of [
    send(error),
    send([error])[0],
    send(new Map([['e', error]])).get('e'),
    send({ a: { b: error } }).a.b,
  ]) {
    assert.ok(arrived)
    assert.equal(Object.getPrototypeOf(arrived), TypeError.prototype)
    assert.equal(arrived.message, 'outer')
    assert.equal(arrived.stack, error.stack)
    assert.equal(arrived.code, 'E_OUTER')
    assert.deepEqual(arrived.detail, error.detail)
    assert.deepEqual(Object.keys(arrived), ['code', 'detail'])
    assert.equal(Object.getPrototypeOf(arrived.cause), RangeError.prototype)
    assert.equal((arrived.cause as Error & Fields).errno, -2)
    assert.equal((arrived.cause as Error).stack, cause.stack)
  }
})

test('an error keeps its identity, its cycles, and what it shares', () => {
  const part = { n: undefined }
  const error = Object.assign(new Error('loop'), { part, self: undefined as unknown, up: undefined as unknown })
  error.self = error
  const value = { error, again: [error], part, up: undefined as unknown }
  error.up = value
  const arrived = send(value)
  assert.equal(arrived.error.self, arrived.error)
  assert.equal(arrived.again[0], arrived.error)
  assert.equal(arrived.error.part, arrived.part)
  assert.equal(arrived.error.up, arrived)
})

test('every built-in error class arrives as itself', () => {
  for (const errorClass of [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]) {
    const arrived = send(new errorClass('m'))
    assert.equal(Object.getPrototypeOf(arrived), errorClass.prototype)
    assert.deepEqual(Object.getOwnPropertyNames(arrived).sort(), ['message', 'stack'])
  }
  const first = new Error('first')
  const aggregate = send(new AggregateError([first, 'text', first], 'all'))
  assert.ok(aggregate instanceof AggregateError)
  assert.equal((aggregate.errors[0] as Error).message, 'first')
  assert.equal(aggregate.errors[1], 'text')
  assert.equal(aggregate.errors[2], aggregate.errors[0])
  assert.equal(Object.keys(aggregate).length, 0)
  const aborted = send(AbortSignal.abort().reason as DOMException)
  assert.ok(aborted instanceof DOMException)
  assert.deepEqual([aborted.name, aborted.code], ['AbortError', 20])
  assert.equal(aborted.message, AbortSignal.abort().reason.message)
  const foreign = send(runInContext('new RangeError("there")', createContext()) as Error)
  assert.ok(foreign instanceof RangeError)
})

test('other classes arrive as Error, or the built-in they extend, with their name', () => {
  class PaymentError extends Error {
    override name = 'PaymentError'
    amount = 12n
  }
  const arrived = send(new PaymentError('no'))
  assert.equal(Object.getPrototypeOf(arrived), Error.prototype)
  assert.deepEqual([arrived.name, arrived.message, arrived.amount], ['PaymentError', 'no', 12n])
  const hub = send(new HubError('ERR_HUB_CLOSED', 'closed'))
  assert.equal(Object.getPrototypeOf(hub), Error.prototype)
  assert.deepEqual([hub.name, hub.code], ['HubError', 'ERR_HUB_CLOSED'])
  assert.ok(send(new (class extends TypeError {})('t')) instanceof TypeError)
  const old = send(Object.create(Error.prototype, { message: { value: 'old style', enumerable: true } }) as Error)
  assert.ok(old instanceof Error)
  assert.equal(old.message, 'old style')
  const proto = Object.defineProperty(new Error('p'), '__proto__', { value: { evil: 1 }, enumerable: true })
  assert.deepEqual(Object.keys(send(proto)), ['__proto__'])
  assert.equal(Object.getPrototypeOf(send(proto)), Error.prototype)
})

// Refusals

test('what cannot be cloned is refused with its path', () => {
  const fn = () => {}
  const instead = 'which cannot be cloned. Send plain data instead.'
  refuses({ attachments: [{}, {}, { stream: fn }] }, `.attachments[2].stream is a function, ${instead}`)
  refuses(fn, `it is a function, ${instead}`)
  refuses(Symbol('s'), `it is a symbol, ${instead}`)
  refuses({ 'a-b': { 1: Symbol('s') } }, `["a-b"]["1"] is a symbol, ${instead}`)
  refuses([1, { w: new WeakMap() }], `[1].w is a WeakMap, ${instead}`)
  refuses({ p: Promise.resolve(1) }, '.p is a Promise, which cannot be cloned. Await it first.')
  refuses({ p: new Proxy({}, {}) }, `.p is a Proxy, ${instead}`)
  refuses({ p: new Proxy([], {}) }, `.p is a Proxy, ${instead}`)
  refuses({ w: new WeakSet() }, `.w is a WeakSet, ${instead}`)
  refuses({ w: new WeakRef({}) }, `.w is an instance of WeakRef, ${instead}`)
  refuses({ i: new Intl.NumberFormat() }, `.i is an instance of NumberFormat, ${instead}`)
  refuses(
    { e: Object.assign(new Error('e'), { i: new Intl.NumberFormat() }) },
    `.e.i is an instance of NumberFormat, ${instead}`,
  )
  refuses(
    {
      m: new Map<unknown, unknown>([
        ['k', 1],
        ['b', { f: fn }],
      ]),
    },
    `.m.get("b").f is a function, ${instead}`,
  )
  refuses(
    {
      m: new Map<unknown, unknown>([
        ['k', 1],
        [{}, fn],
      ]),
    },
    `.m.values()[1] is a function, ${instead}`,
  )
  refuses({ m: new Map<unknown, unknown>([[{ f: fn }, 1]]) }, `.m.keys()[0].f is a function, ${instead}`)
  refuses({ s: new Set<unknown>([1, { f: fn }]) }, `.s.values()[1].f is a function, ${instead}`)
  refuses({ e: new Error('e', { cause: { f: fn } }) }, `.e.cause.f is a function, ${instead}`)
  refuses({ e: Object.assign(new Error('e'), { request: fn }) }, `.e.request is a function, ${instead}`)
  refuses({ g: (function* () {})() }, `.g is a generator, ${instead}`)
  refuses(Object.assign([1], { x: fn }), `.x is a function, ${instead}`)
  refuses(new Point().constructor, `it is a function, ${instead}`)
  ;(function (..._: unknown[]) {
    // biome-ignore lint/complexity/noArguments: it is what must be refused
    refuses({ a: arguments }, '.a is an arguments object, which cannot be cloned. Send [...arguments] instead.')
  })(1)
  refuses({ als: new AsyncLocalStorage(), f: fn }, /: \.(als|f).* is a/)
})

test('shared and resizable memory is refused', () => {
  const memory = new SharedArrayBuffer(8)
  const resizable = new (ArrayBuffer as new (length: number, options: object) => ArrayBuffer)(8, { maxByteLength: 16 })
  const gone = new ArrayBuffer(8)
  structuredClone(gone, { transfer: [gone] })
  for (const extra of [undefined, new Error('also an error')]) {
    refuses({ extra, m: memory }, /: \.m is a SharedArrayBuffer, which/)
    refuses({ extra, m: new Uint8Array(memory) }, /: \.m is a view of a SharedArrayBuffer, which/)
    refuses({ extra, m: new Uint8Array(memory, 2, 2) }, /: \.m is a view of a SharedArrayBuffer, which/)
    refuses({ extra, r: resizable }, /: \.r is a resizable ArrayBuffer, which/)
    refuses({ extra, r: new Uint8Array(resizable) }, /: \.r is a view of a resizable ArrayBuffer, which/)
    refuses({ extra, r: new DataView(resizable, 1, 2) }, /: \.r is a view of a resizable ArrayBuffer, which/)
    refuses({ extra, d: gone }, /: \.d is /)
  }
})

test('a getter that throws is refused with its path, and its error as the cause', () => {
  const cause = new Error('boom')
  const value = {
    a: {
      get b() {
        throw cause
      },
    },
  }
  assert.equal(refuses(value, '.a.b is a getter that throws (boom). Send plain data instead.').cause, cause)
  const get = Object.getOwnPropertyDescriptor(value.a, 'b')?.get as () => unknown
  refuses({ e: Object.defineProperty(new Error('e'), 'stack', { get }) }, /: \.e\.stack is a getter that throws/)
})

test('the path is right in graphs with cycles', () => {
  const root: Fields = { name: 'root' }
  const child: Fields = { parent: root, list: new Set([root]) }
  root.child = child
  child.self = child
  root.last = { back: child, bad: () => {} }
  refuses(root, /: \.last\.bad is a function/)
})

test('the path of an argument begins with args', () => {
  refuses([1, { a: [Symbol('s')] }], /: args\[1\]\.a\[0\] is a symbol/, encodeArguments)
  refuses([() => {}], /: args\[0\] is a function/, encodeArguments)
})

test('what is nested too deeply is refused, whichever way it would have gone', () => {
  const nest = (levels: number, bottom: unknown, wrap: (value: unknown) => unknown = (value) => ({ n: value })) => {
    let value = bottom
    for (let i = 0; i < levels; i++) value = wrap(value)
    return value
  }
  for (const bottom of [1, undefined, new Error('deep'), new Uint8Array(2)]) {
    for (const levels of [MAX_DEPTH + 2, 100_000])
      refuses(nest(levels, bottom), /nested more than 1000 levels deep\. Send a flatter/)
    assert.equal(typeof send(nest(MAX_DEPTH - 2, bottom)), 'object')
  }
  refuses(
    nest(100_000, 1, (value) => [value]),
    /\[0\]… is nested more than/,
  )
  refuses(
    nest(100_000, 1, (value) => new Map([['k', value]])),
    /nested more than/,
  )
  refuses(
    nest(100_000, 1, (value) => new Set([value])),
    /nested more than/,
  )
  refuses(
    nest(100_000, 1, (value) => new Error('e', { cause: value })),
    /nested more than/,
  )
})

test('a full stack is refused, not overflown', () => {
  let outcome: unknown
  const dive = (value: unknown): void => {
    try {
      dive(value)
    } catch {
      if (outcome instanceof HubError) return
      try {
        encodeValue(value, 'it')
      } catch (error) {
        outcome = error
      }
    }
  }
  let deep: unknown
  for (let i = 0; i < 900; i++) deep = { deep }
  dive(deep)
  assert.ok(outcome === undefined || outcome instanceof HubError || outcome instanceof RangeError)
})

// Arguments

test('arguments travel as a list', () => {
  const trip = (args: unknown[]) => {
    const { text, bytes } = encodeArguments(args, 'event "news"')
    return decodeArguments(text, bytes)
  }
  assert.deepEqual(encodeArguments([], ''), { text: '', bytes: undefined })
  for (const args of [[], [1, 'a'], [undefined], [undefined, undefined], [new Date(1), [2n]], [[]]])
    assert.deepEqual(trip(args), args)
  assert.equal(encodeArguments([{ a: 1 }, 2], '').text, '[{"a":1},2]')
  const both = trip([shared, shared])
  assert.equal(both[0], both[1])
})

// Garbage

test('what is too long for the other end is refused where it is sent', () => {
  assert.throws(() => encodeValue('x'.repeat(2 ** 27), 'event', 'e'), {
    code: 'ERR_HUB_PAYLOAD',
    message: /event "e": it has 134217730 characters of JSON, and at most 134217728 travel/,
  })
  assert.throws(() => encodeArguments([new Uint8Array(2 ** 28)], 'event', 'e'), {
    code: 'ERR_HUB_PAYLOAD',
    message: /event "e": it has 26843\d+ bytes, and at most 268435456 travel/,
  })
})

test('raw JSON is not what it looks like', () => {
  // Node.js 22 and later.
  const { rawJSON } = JSON as { rawJSON?: (text: string) => object }
  if (!rawJSON) return
  assert.equal(isPlain(rawJSON('1e1000')), false)
  assert.equal(isPlain({ a: rawJSON('1e1000') }), false)
})

test('corrupt text is a protocol error', () => {
  for (const text of ['{', 'undefined', '[1,]', '\u0000', '{"a":1}}', '['.repeat(50_000)]) {
    assert.throws(() => decodeValue(text, undefined), PROTOCOL)
    assert.throws(() => decodeError(text, undefined, 'member "a"'), PROTOCOL)
  }
  for (const text of ['1', '{}', 'null']) assert.throws(() => decodeArguments(text, undefined), PROTOCOL)
  assert.throws(() => decodeArguments('', encodeValue(new Map(), '').bytes), PROTOCOL)
})

test('corrupt bytes are a protocol error or another value, never anything else', () => {
  const error = Object.assign(new AggregateError([new Error('a')], 'b', { cause: new TypeError('c') }), {
    code: 'E',
    own: new Map([[1, 2]]),
  })
  const sources = [
    encodeValue(
      {
        e: error,
        d: new Date(1),
        b: Buffer.from('xyz'),
        u: new Float64Array(3),
        s: '漢字',
        n: 2n ** 80n,
        m: new Map([[1, new Set([2])]]),
      },
      '',
    ),
    encodeValue([undefined, new Uint8Array(9).subarray(1, 4), Object(1), /a/g, holes, new Array(9)], ''),
    encodeError(error),
  ].map(({ bytes }) => bytes as Uint8Array)
  assert.throws(() => decodeValue('', new Uint8Array(0)), PROTOCOL)
  for (const source of sources) {
    for (let end = 0; end < source.length; end++) assert.throws(() => decodeValue('', source.slice(0, end)), PROTOCOL)
  }
  const edits = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(fc.constantFrom(...sources), edits, (source, list) => {
      const bytes = source.slice()
      for (const [at, value] of list) bytes[at % bytes.length] = value
      const before = process.memoryUsage.rss()
      try {
        decodeError('', bytes, 'member "a"')
      } catch (failure) {
        assert.ok(failure instanceof HubError, String(failure))
        assert.equal(failure.code, 'ERR_HUB_PROTOCOL')
      }
      assert.ok(process.memoryUsage.rss() - before < 100 * 1024 * 1024, 'allocated too much')
    }),
    { numRuns: 5000 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        decodeValue('', Uint8Array.from([0xff, 0x0f, ...bytes]))
      } catch (failure) {
        assert.ok(failure instanceof HubError, String(failure))
      }
    }),
    { numRuns: 5000 },
  )
})

// What handlers throw

test('a thrown error arrives with the remote part of its stack marked', () => {
  const cause = new RangeError('why')
  const error = Object.assign(new TypeError('bad\n    at first sight', { cause }), {
    code: 'E_BAD',
    field: new Date(3),
  })
  const arrived = sendError(error)
  assert.equal(Object.getPrototypeOf(arrived), TypeError.prototype)
  assert.deepEqual(
    [arrived.name, arrived.message, arrived.code, arrived.field],
    ['TypeError', error.message, 'E_BAD', new Date(3)],
  )
  const mark = '    at --- in member "mailer" ---\n'
  const frames = (error.stack as string).slice('TypeError: bad\n    at first sight\n'.length)
  assert.equal(arrived.stack, `TypeError: bad\n    at first sight\n${mark}${frames}`)
  assert.ok(arrived.cause instanceof RangeError)
  assert.ok(arrived.cause.stack?.startsWith(`RangeError: why\n${mark}    at `))
  const all = sendError(new AggregateError([new Error('one')], 'all')) as unknown as AggregateError
  assert.ok(all instanceof AggregateError)
  assert.ok((all.errors[0] as Error).stack?.includes(mark))
  const self = Object.assign(new Error('self'), { cause: undefined as unknown })
  self.cause = self
  assert.equal(sendError(self).cause === sendError(self), false)
  const loop = sendError(self)
  assert.equal(loop.cause, loop)
  const stackless = Object.defineProperty(new Error('bare'), 'stack', { value: undefined })
  assert.equal(sendError(stackless).stack, 'Error: bare\n    at --- in member "mailer" ---')
})

test('any other thrown value comes back as it is', () => {
  for (const thrown of ['text', '', 0, -0, undefined, null, 12n, { a: 1 }, [undefined], new Map([[1, 2]])]) {
    assert.equal(isDeepStrictEqual(sendError(thrown), thrown), true)
  }
})

test('an error has at most so many levels of causes', () => {
  let error = new Error('last')
  for (let i = 0; i < 5000; i++) error = new Error(`level ${i}`, { cause: error })
  let levels = 0
  for (let link: Error | undefined = sendError(error); link?.cause !== undefined; link = link.cause as Error) levels++
  assert.equal(levels, MAX_CAUSES)
  assert.equal(MAX_CAUSES, 8)
  let nested = new AggregateError([new Error('inside')])
  for (let i = 0; i < 5000; i++) nested = new AggregateError([nested])
  assert.ok(sendError(nested) instanceof AggregateError)
})

test('an error that is too large with all that it carries loses what is large, then all but itself', () => {
  const sizeOf = (error: unknown) => (encodeError(error).bytes as Uint8Array).byteLength
  assert.equal(MAX_ERROR_BYTES, 1 << 20)
  // As HTTP clients throw them.
  const large = Object.assign(new Error('502', { cause: new Error('why') }), {
    code: 'EBAD',
    status: 502,
    response: { body: 'x'.repeat(2 << 20) },
  })
  assert.ok(sizeOf(large) < 20_000)
  const pruned = sendError(large)
  assert.deepEqual([pruned.message, pruned.code, pruned.status, 'response' in pruned], ['502', 'EBAD', 502, false])
  assert.equal((pruned.cause as Error).message, 'why')

  const wide = new AggregateError(Array.from({ length: 5000 }, (_, i) => new Error(`${i} ${'m'.repeat(500)}`)))
  assert.ok(sizeOf(wide) <= MAX_ERROR_BYTES)
  assert.equal(((sendError(wide) as unknown as AggregateError).errors[15] as Error).message.slice(0, 2), '15')

  const many = Object.assign(new TypeError('many'), { code: 'EMANY' })
  for (let i = 0; i < 100_000; i++) Object.assign(many, { [`field ${i}`]: 'value' })
  assert.ok(sizeOf(many) < 20_000)
  const bare = sendError(many)
  assert.ok(bare instanceof TypeError)
  assert.deepEqual([bare.message, bare.code, Object.keys(bare)], ['many', 'EMANY', ['code']])

  const thrown = sendError('x'.repeat(MAX_ERROR_BYTES))
  assert.match(thrown.message, /^Cannot send what the handler threw: it is no error, and has 1048578 bytes/)
})

test('a chain of causes that somebody has made by hand is not too long to be read', () => {
  let error = new Error('0')
  for (let i = 1; i < 900; i++) error = new Error(String(i), { cause: error })
  const limits = { causes: 1e6, message: 10, stack: 10, bytes: 1e9 }
  let read = decodeError('', encodeError(error, limits).bytes, 'x') as Error
  for (; read.cause !== undefined; read = read.cause as Error) assert.match(read.stack as string, /--- in x ---/)
  assert.equal(read.message, '0')
  // One behind the other, as an encoder that does not look at depth would write them.
  for (let i = 0; i < 50_000; i++) error = new Error('', { cause: error })
  markStack(error, 'x')
  assert.match(error.stack as string, /--- in x ---/)
})

test('what cannot be read to its end leaves nothing behind', async () => {
  const { bytes } = encodeError(new Error('x', { cause: new TypeError('y') }))
  const broken = (bytes as Uint8Array).slice(0, -6)
  const read = () => assert.throws(() => decodeValue('', broken), { code: 'ERR_HUB_PROTOCOL' })
  for (let i = 0; i < 100; i++) read()
  const before = await heap()
  for (let i = 0; i < 5000; i++) read()
  const each = ((await heap()) - before) / 5000
  assert.ok(each < 200, `${each} bytes each`)
})

test('messages and stacks are cut', () => {
  const arrived = sendError(new Error('m'.repeat(100_000), { cause: new Error('c'.repeat(100_000)) }))
  assert.equal(MAX_ERROR_MESSAGE, 16 * 1024)
  assert.equal(MAX_ERROR_STACK, 16 * 1024)
  assert.equal(arrived.message.length, MAX_ERROR_MESSAGE)
  assert.equal((arrived.cause as Error).message.length, MAX_ERROR_MESSAGE)
  assert.ok((arrived.stack as string).length < MAX_ERROR_STACK + 100)
  const { bytes } = encodeError(new Error('abc', { cause: new Error('x') }), {
    causes: 0,
    message: 2,
    stack: 3,
    bytes: MAX_ERROR_BYTES,
  })
  const small = decodeValue('', bytes) as Error
  assert.deepEqual([small.message, small.stack, small.cause], ['ab', 'Err', undefined])
})

test('an error loses fields that cannot be cloned, and only those', () => {
  const inner = Object.assign(new Error('inner'), { socket: () => {}, port: 25 })
  const error = Object.assign(new Error('outer', { cause: inner }), {
    code: 'E_OUT',
    config: { deep: [Symbol('s')] },
    when: new Date(1),
    self: undefined as unknown,
    get broken() {
      return Promise.resolve()
    },
  })
  error.self = error
  const arrived = sendError(error)
  assert.deepEqual([arrived.message, arrived.code, arrived.when], ['outer', 'E_OUT', new Date(1)])
  assert.deepEqual(Object.keys(arrived).sort(), ['code', 'self', 'when'])
  assert.equal(arrived.self, arrived)
  assert.equal((arrived.cause as Error & Fields).port, 25)
  assert.deepEqual(Object.keys(arrived.cause as Error), ['port'])
  const all = sendError(new AggregateError([inner, () => {}, 'text'])) as unknown as AggregateError
  assert.deepEqual([all.errors.length, all.errors[0].port, all.errors[1]], [2, 25, 'text'])
  assert.equal(sendError(new Error('odd', { cause: () => {} })).cause, undefined)
})

test('encodeError never throws', () => {
  const boom = () => {
    throw new Error('boom')
  }
  const traps = new Proxy({}, { get: boom, getPrototypeOf: boom, ownKeys: boom })
  const hostile = new Error('hostile')
  for (const key of ['stack', 'name', 'message', 'cause', 'code', 'own']) {
    Object.defineProperty(hostile, key, { get: boom, enumerable: key === 'own' })
  }
  let deep: unknown = 1
  for (let i = 0; i < 100_000; i++) deep = { deep }
  const revoked = Proxy.revocable({}, {})
  revoked.revoke()
  for (const thrown of [
    () => {},
    Symbol('s'),
    traps,
    Promise.resolve(),
    hostile,
    deep,
    Object.assign(new Error('d'), { deep }),
    revoked.proxy,
    new Proxy(new Error('p'), {}),
  ]) {
    assert.ok(sendError(thrown) instanceof Error)
  }
  assert.match(sendError(() => {}).message, /what the handler threw: it is a function/)
  assert.equal(sendError(Object.assign(new Error('d'), { deep })).message, 'd')
})

test.run()
