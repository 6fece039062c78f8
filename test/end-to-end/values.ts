import assert from 'node:assert/strict'

type Fields = Record<string, unknown>

class Point {
  x = 1
  get sum() {
    return 2
  }
  toJSON() {
    return 'not this'
  }
}

function build<T extends object>(value: T, fill: (value: T & Fields) => void): T {
  fill(value as T & Fields)
  return value
}

/** 0, 1, 2, … in whatever is a view of bytes. */
const filled = <T extends ArrayBufferView>(view: T): T => {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
  for (let i = 0; i < bytes.length; i++) bytes[i] = i % 60
  return view
}

/** Made anew at both ends, so that what arrives can be compared with what was sent. */
export const VALUES: Record<string, () => unknown> = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  zero: () => 0,
  'negative zero': () => -0,
  NaN: () => Number.NaN,
  infinities: () => [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  numbers: () => [1, -1, 0.1, 1e21, Number.MAX_SAFE_INTEGER, Number.MIN_VALUE, Number.MAX_VALUE],
  bigints: () => [0n, -1n, 2n ** 64n, -(2n ** 200n)],
  'empty string': () => '',
  Latin: () => 'Grüße, façade, \0 \x11hubwire1\x11 \x7f "quoted" \\ \n',
  CJK: () => '漢字かな交じり文、한국어',
  emoji: () => '🙂👩‍👩‍👧 😀',
  'lone surrogates': () => ['\ud83d', '\ude00', 'a\udfffb', '\ude00\ud83d', { '\ud800': '\udbff' }],
  'line separators': () => '\u2028\u2029\ufeff\uffff',
  'plain object': () => ({ id: 1, title: 'news', tags: ['a', 'b'], nested: { deep: [null, false, { '': 1 }] } }),
  'order of fields': () => ({ b: 1, a: 2, 10: 3, 2: 4 }),
  'own __proto__': () => JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1, "toString": 2}'),
  'undefined field': () => ({ a: undefined, b: 1 }),
  'undefined item': () => [undefined, 1, undefined],
  holes: () => build(new Array(5), (array) => Object.assign(array, { 1: 'one', 3: undefined })),
  'array with fields': () => Object.assign([1, 2], { extra: 'field' }),
  'empty ones': () => [{}, [], new Map(), new Set(), new Uint8Array(0), new ArrayBuffer(0)],
  Date: () => [new Date(1_700_000_000_123), new Date(-1)],
  'invalid Date': () => new Date(Number.NaN),
  RegExp: () => [/a(b)?\/[漢]/giu, /$/],
  Map: () =>
    new Map<unknown, unknown>([
      ['key', { value: 1 }],
      [{ object: 'key' }, new Map([[1, 2]])],
      [Number.NaN, -0],
    ]),
  Set: () => new Set<unknown>([1, 'two', [3], undefined, null]),
  boxed: () => [Object(1), Object('text'), Object(true), Object(1n)],
  'no prototype': () => Object.assign(Object.create(null), { a: 1 }),
  'class instance': () => new Point(),
  'inherited toJSON': () => Object.assign(Object.create({ toJSON: () => 'not this' }), { kept: 1 }),
  'Date inside': () => ({ at: new Date(5), list: [{ bytes: new Uint8Array([1, 2]) }] }),
  cycle: () => build({ name: 'cycle' }, (value) => Object.assign(value, { self: value, list: [value] })),
  'cycle through a Map': () => build(new Map(), (map) => map.set('self', map).set(map, 'self')),
  'shared reference': () => {
    const shared = { n: 1 }
    return { one: shared, other: shared, set: new Set([shared]) }
  },
  'shared plain reference': () => {
    const shared = { n: 1 }
    return { one: shared, list: [shared, [shared]] }
  },
  'shared among many': () => {
    const shared = [1]
    return [...Array.from({ length: 100 }, (_, n) => ({ n })), shared, shared]
  },
  'shared buffer': () => {
    const { buffer } = filled(new Uint8Array(16))
    return [buffer, new Uint8Array(buffer), new Float64Array(buffer)]
  },
  ArrayBuffer: () => filled(new Uint8Array(100)).buffer,
  'typed arrays': () => [
    filled(new Int8Array(16)),
    filled(new Uint8Array(17)),
    filled(new Uint8ClampedArray(16)),
    filled(new Int16Array(8)),
    filled(new Uint16Array(8)),
    filled(new Int32Array(4)),
    filled(new Uint32Array(4)),
    filled(new Float32Array(4)),
    filled(new Float64Array(2)),
    filled(new BigInt64Array(2)),
    filled(new BigUint64Array(2)),
    filled(new DataView(new ArrayBuffer(16))),
  ],
  binary: () => filled(new Uint8Array(1000)),
  Buffer: () => Buffer.from('a Buffer stays one'),
  'part of a larger buffer': () => filled(new Uint8Array(1 << 16)).subarray(1000, 1100),
  'long list': () => Array.from({ length: 5000 }, (_, i) => i),
  deep: () => {
    let value: unknown = 'bottom'
    for (let i = 0; i < 400; i++) value = i % 2 ? [value] : { value }
    return value
  },
}

/** What the value should be when it arrives. */
function expected(name: string): unknown {
  const value = (VALUES[name] as () => unknown)()
  // A view of a part travels as a buffer of its own, and a Buffer as a Buffer.
  if (name === 'part of a larger buffer') return (value as Uint8Array).slice()
  if (name === 'Buffer') return value
  return structuredClone(value)
}

/** Fails unless what arrived is what was sent under this name. */
export function assertSame(name: string, value: unknown): void {
  const original = expected(name)
  // Node.js 20 takes no two of them for equal.
  if (name === 'invalid Date') {
    assert.ok(value instanceof Date && Number.isNaN(value.getTime()))
    return
  }
  assert.deepStrictEqual(value, original)
  assertSameShape(value, original)
  assertOwned(value)
}

/** Both refer to the same things at the same places, and have their fields in the same order. */
function assertSameShape(a: unknown, b: unknown, seen = new Map<unknown, unknown>()): void {
  if (typeof a !== 'object' || a === null) return
  if (seen.has(a)) {
    assert.equal(seen.get(a), b, 'another reference')
    return
  }
  assert.ok(![...seen.values()].includes(b), 'one reference became two')
  seen.set(a, b)
  assert.equal(Object.getPrototypeOf(a), Object.getPrototypeOf(b))
  if (ArrayBuffer.isView(a)) {
    if (!Buffer.isBuffer(a)) assertSameShape(a.buffer, (b as ArrayBufferView).buffer, seen)
    return
  }
  if (Array.isArray(a) && a.length > 1000) return
  assert.deepEqual(Object.keys(a), Object.keys(b as object))
  const items = (value: unknown) =>
    value instanceof Map || value instanceof Set ? [...value].flat() : Object.values(value as object)
  items(a).forEach((item, i) => {
    assertSameShape(item, items(b)[i], seen)
  })
}

/** No received binary is a view on something larger than itself. */
export function assertOwned(value: unknown): void {
  const views = ArrayBuffer.isView(value) ? [value] : Array.isArray(value) ? value.filter(ArrayBuffer.isView) : []
  for (const view of views) assert.equal(view.buffer.byteLength, view.byteLength, 'a view on foreign memory')
}

/** Errors are kept whole, which the structured clone does not do. */
export function makeError(): Error {
  const cause = Object.assign(new RangeError('the cause'), { code: 'E_CAUSE' })
  const error = Object.assign(new TypeError('wrong 漢字', { cause }), {
    code: 'E_WRONG',
    status: 404,
    details: { at: new Date(1), list: [1, undefined] },
  })
  return error
}

export function assertError(value: unknown): void {
  const error = value as Error & Fields
  assert.ok(error instanceof TypeError)
  assert.equal(error.name, 'TypeError')
  assert.equal(error.message, 'wrong 漢字')
  assert.match(String(error.stack), /wrong 漢字\n\s+at /)
  assert.deepStrictEqual(
    { code: error.code, status: error.status, details: error.details },
    { code: 'E_WRONG', status: 404, details: { at: new Date(1), list: [1, undefined] } },
  )
  const cause = error.cause as Error & Fields
  assert.ok(cause instanceof RangeError)
  assert.equal(cause.message, 'the cause')
  assert.equal(cause.code, 'E_CAUSE')
}
