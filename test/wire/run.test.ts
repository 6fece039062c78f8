import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'uvu'
import { MARKER } from '#lib/wire/batch.js'
import { ATTACHED, bodyStart, callFrame, hasFlag, Kind, readKind, readLength, SINGLE } from '#lib/wire/frame.js'
import { Run, readBody, UNREAD } from '#lib/wire/run.js'
import { eventFrame, requestFrame } from './frames.js'

const READ: readonly number[] = [Kind.Event, Kind.Request, Kind.Response]

/** What a run says of each frame that it is asked about. */
function read(text: string): unknown[] {
  const run = new Run()
  const values: unknown[] = []
  for (let at = MARKER.length; at < text.length; at += readLength(text, at)) {
    if (!READ.includes(readKind(text, at)) || hasFlag(text, at, ATTACHED)) continue
    values.push(run.next(text, at, readLength(text, at)))
  }
  return values
}

/** The same with what is unread read by itself. */
function readAll(text: string): unknown[] {
  const values = read(text)
  let i = 0
  for (let at = MARKER.length; at < text.length; at += readLength(text, at)) {
    if (!READ.includes(readKind(text, at)) || hasFlag(text, at, ATTACHED)) continue
    values[i] = readBody(values[i], text, bodyStart(text, at), at + readLength(text, at), undefined)
    i++
  }
  return values
}

const event = (body: string) => eventFrame(SINGLE, 20, 'a', body)
const events = (...bodies: string[]) => MARKER + bodies.map(event).join('')

const body = fc.json()
const frame = fc.oneof(
  { weight: 20, arbitrary: body.map((body) => ({ frame: event(body), body })) },
  { weight: 4, arbitrary: body.map((body) => ({ frame: eventFrame(0, 21, 'other', body), body })) },
  { weight: 8, arbitrary: body.map((body) => ({ frame: requestFrame(0, 20, 7, 8, 0, 'task', body), body })) },
  { weight: 8, arbitrary: body.map((body) => ({ frame: callFrame(Kind.Response, 20, 7, body), body })) },
  { weight: 1, arbitrary: body.map((body) => ({ frame: callFrame(Kind.Refusal, 20, 7, body), body: undefined })) },
  { weight: 1, arbitrary: fc.constant({ frame: event(''), body: '' }) },
  { weight: 1, arbitrary: fc.constant({ frame: eventFrame(SINGLE | ATTACHED, 20, 'a', ''), body: undefined }) },
)

test('whatever stands beside it, each body says what it says by itself', () => {
  let read = 0
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 150, size: 'max' }), fc.boolean(), (frames, wide) => {
      const text = MARKER + frames.map(({ frame }) => frame).join('') + (wide ? event('"漢"') : '')
      const bodies = frames.flatMap(({ body }) => (body === undefined ? [] : [body]))
      if (wide) bodies.push('"漢"')
      assert.deepEqual(
        readAll(text),
        bodies.map((body) => (body === '' ? undefined : JSON.parse(body))),
      )
      read += bodies.length
    }),
    { numRuns: 100 },
  )
  assert.ok(read > 1000, `${read} bodies`)
})

test('neighbours are read together, up to the bounds of a run', () => {
  assert.deepEqual(read(events('1', '2', '3')), [1, 2, 3])
  const many = read(events(...Array(1000).fill('1')))
  assert.deepEqual(many, Array(1000).fill(1))
  const alone = UNREAD
  assert.deepEqual(read(events('1')), [alone])
  assert.deepEqual(read(events('', '1', '2', '')), [alone, 1, 2, alone])
  const answer = (body: string) => callFrame(Kind.Response, 20, 7, body)
  assert.deepEqual(read(MARKER + answer('1') + answer('2') + event('3') + event('4')), [1, 2, 3, 4])
  assert.deepEqual(read(MARKER + answer('1') + event('2') + answer('3')), [alone, alone, alone])
})

test('long bodies are not copied together: a run ends before the one that would make it long', () => {
  const lengths = (values: unknown[]) => values.map((value) => (typeof value === 'string' ? value.length : value))
  const [long, half] = [20_000, 7_000].map((length) => JSON.stringify('x'.repeat(length))) as [string, string]
  assert.deepEqual(lengths(read(events('1', '2', long, '3', '4'))), [1, 2, UNREAD, 3, 4])
  assert.deepEqual(lengths(read(events(long, '1', '2', long))), [UNREAD, 1, 2, UNREAD])
  assert.deepEqual(lengths(read(events(half, half, half, half, '1'))), [7_000, 7_000, 7_000, 7_000, 1])
})

test('where one body is no JSON, or more than one value, its run is left to be read one by one', () => {
  for (const broken of ['{', '1,2', '"', ']', '[', ' ', '1]', '],[', '\0']) {
    assert.deepEqual(read(events('1', broken, '3')), [UNREAD, UNREAD, UNREAD], broken)
  }
  const bodies = [...Array(63).fill('1'), '{', ...Array(64).fill('2')]
  assert.deepEqual(read(events(...bodies)), [...Array(64).fill(UNREAD), ...Array(64).fill(2)])
})

test('a frame that is not well formed is never looked into', () => {
  const good = event('1')
  for (const rest of [
    event('12').slice(0, -1),
    good.slice(0, -1),
    good.slice(0, 5),
    `\0\0\0\x05${good.slice(4)}`,
    `\xff${good.slice(1)}`,
  ]) {
    assert.equal(new Run().next(MARKER + good + rest, MARKER.length, good.length), UNREAD)
  }
})

test.run()
