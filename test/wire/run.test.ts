import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'uvu'
import { MARKER } from '#lib/wire/batch.js'
import { ATTACHED, callFrame, eventBody, Kind, readLength, SINGLE } from '#lib/wire/frame.js'
import { readRun } from '#lib/wire/run.js'
import { eventFrame } from './frames.js'

const body = fc.json()
const frame = fc.oneof(
  {
    weight: 40,
    arbitrary: body.map((body) => eventFrame(SINGLE, 20, 'a', body)),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom(0, SINGLE), fc.constantFrom('a', 'ab'), body)
      .map(([flags, name, body]) => eventFrame(flags, 20, name, body)),
  },
  { weight: 1, arbitrary: fc.constant(eventFrame(SINGLE, 20, 'a', '')) },
  { weight: 1, arbitrary: fc.constant(eventFrame(SINGLE, 21, 'a', '1')) },
  { weight: 1, arbitrary: fc.constant(eventFrame(SINGLE | ATTACHED, 20, 'a', '')) },
  { weight: 1, arbitrary: body.map((body) => callFrame(Kind.Response, 20, 7, body)) },
)

/** The bodies of a run as they are without it: parsed one by one. */
function oneByOne(text: string, at: number, end: number): { values: unknown[]; starts: number[] } {
  const values: unknown[] = []
  const starts: number[] = []
  for (let next = at; next < end; next += readLength(text, next)) {
    starts.push(next)
    values.push(JSON.parse(text.slice(eventBody(text, next), next + readLength(text, next))))
  }
  return { values, starts }
}

test('a run says what its events say one by one, and ends before the first that differs in more than its body', () => {
  let longest = 0
  fc.assert(
    fc.property(fc.array(frame, { minLength: 1, maxLength: 150, size: 'max' }), fc.boolean(), (frames, wide) => {
      const text = MARKER + frames.join('') + (wide ? eventFrame(0, 20, 'wide', '"漢"') : '')
      for (let at = MARKER.length; at < text.length; at += readLength(text, at)) {
        const flags = text.charCodeAt(at + 4)
        if (flags !== SINGLE + Kind.Event && flags !== Kind.Event) continue
        const run = readRun(text, at, readLength(text, at))
        if (!run) continue
        const { values, starts } = oneByOne(text, at, run.end)
        assert.deepEqual(run.values, values)
        assert.ok(starts.length > 1, 'an event alone is no run')
        for (const start of starts) {
          const head = text.slice(at + 4, eventBody(text, at))
          assert.equal(text.slice(start + 4, eventBody(text, start)), head, 'flags, address and name')
        }
        longest = Math.max(longest, starts.length)
      }
    }),
    { numRuns: 100 },
  )
  assert.ok(longest > 8, `runs were read at all: ${longest}`)
})

test('neighbours that are equal but for their bodies make one run, up to its bounds', () => {
  const of = (bodies: string[]) => MARKER + bodies.map((body) => eventFrame(SINGLE, 20, 'a', body)).join('')
  const lengthOf = (bodies: string[]) => {
    const text = of(bodies)
    return readRun(text, MARKER.length, readLength(text, MARKER.length))?.values?.length
  }
  assert.equal(lengthOf(['1', '2', '3']), 3)
  assert.equal(lengthOf(Array(1000).fill('1')), 64)
  assert.equal(lengthOf(Array(40).fill(JSON.stringify('x'.repeat(10_000)))), 2)
  assert.equal(lengthOf(['1']), undefined)
  assert.equal(lengthOf(['', '1']), undefined)
  assert.equal(lengthOf(['1', '', '2']), undefined)
})

test('one body that is no JSON, or more than one value, leaves all to be read one by one', () => {
  for (const broken of ['{', '1,2', '"', ']', '[', ' ', '1]', '],[', '\0']) {
    const text = MARKER + ['1', broken, '3'].map((body) => eventFrame(SINGLE, 20, 'a', body)).join('')
    const run = readRun(text, MARKER.length, readLength(text, MARKER.length))
    assert.deepEqual(run, { end: text.length, values: undefined }, broken)
  }
})

test('a frame that is not well formed is never looked into', () => {
  const good = eventFrame(SINGLE, 20, 'a', '1')
  for (const rest of [good.slice(0, -1), good.slice(0, 5), `\0\0\0\x05${good.slice(4)}`, `\xff${good.slice(1)}`]) {
    const text = MARKER + good + rest
    assert.equal(readRun(text, MARKER.length, good.length), undefined)
  }
})

test.run()
