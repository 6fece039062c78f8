import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'uvu'
import { Coalescer } from '#lib/wire/coalescer.js'
import {
  eventBody,
  eventHead,
  eventName,
  hasFlag,
  Kind,
  MANY,
  messageCount,
  readAddress,
  readKind,
  SINGLE,
  VALIDATED,
} from '#lib/wire/frame.js'
import { Link } from '#lib/wire/link.js'
import { FakeTransport, turn } from './fake-transport.js'
import { eventFrame, requestFrame } from './frames.js'

const NEWS = [eventHead(20, 'news')]
const OTHER = [eventHead(20, 'other')]
const TWO = [eventHead(21, 'news'), eventHead(22, 'news')]

function open(highWaterMark = 1 << 20) {
  const transport = new FakeTransport()
  const link = new Link(transport, { highWaterMark })
  return { transport, link, coalescer: new Coalescer(link) }
}

/** Each frame: name and address, flags but for `MANY`, and its events. */
function framesOf(transport: FakeTransport): [string, number, unknown[]][] {
  return transport.frames.map(({ text }) => {
    if (readKind(text, 0) !== Kind.Event) return ['', readKind(text, 0), []]
    const body = JSON.parse(text.slice(eventBody(text, 0)))
    const events = hasFlag(text, 0, MANY) ? body : [body]
    assert.equal(events.length, messageCount(text, 0))
    assert.equal(hasFlag(text, 0, MANY), events.length > 1, 'one event alone is an ordinary frame')
    return [`${eventName(text, 0)}@${readAddress(text, 0)}`, text.charCodeAt(4) & ~MANY & 0xf0, events]
  })
}

test('neighbours leave in one frame, and no others do', async () => {
  const { transport, link, coalescer } = open()
  coalescer.add(SINGLE, NEWS, { n: 1 }, 5)
  coalescer.addText(SINGLE, NEWS, '2')
  coalescer.add(SINGLE, NEWS, { n: 3 }, 5)
  coalescer.add(SINGLE, NEWS, { n: 4 }, 5)
  coalescer.add(SINGLE, OTHER, { n: 5 }, 5)
  coalescer.addText(0, OTHER, '[6,7]')
  coalescer.addText(0, OTHER, '[8]')
  coalescer.addText(SINGLE | VALIDATED, OTHER, '"9"')
  link.write(requestFrame(0, 20, 1, 0, 0, 'task', ''))
  coalescer.addText(SINGLE | VALIDATED, OTHER, '10')
  coalescer.add(SINGLE, TWO, { n: 11 }, 5)
  coalescer.add(SINGLE, TWO, { n: 12 }, 5)
  assert.equal(transport.batches.length, 0)
  await turn()
  assert.equal(transport.batches.length, 1)
  assert.deepEqual(framesOf(transport), [
    ['news@20', SINGLE, [{ n: 1 }, 2, { n: 3 }, { n: 4 }]],
    ['other@20', SINGLE, [{ n: 5 }]],
    ['other@20', 0, [[6, 7], [8]]],
    ['other@20', SINGLE | VALIDATED, ['9']],
    ['', Kind.Request, []],
    ['other@20', SINGLE | VALIDATED, [10]],
    ['news@21', SINGLE, [{ n: 11 }, { n: 12 }]],
    ['news@22', SINGLE, [{ n: 11 }, { n: 12 }]],
  ])
})

test('a frame has as many as its header can count', async () => {
  const { transport, coalescer } = open()
  for (let n = 0; n < 600; n++) coalescer.add(SINGLE, NEWS, { n }, 5)
  await turn()
  const events = framesOf(transport).map(([, , events]) => events)
  assert.deepEqual(
    events.map(({ length }) => length),
    [255, 255, 90],
  )
  assert.deepEqual(
    events.flat(),
    Array.from({ length: 600 }, (_, n) => ({ n })),
  )
})

test('a batch that would be full leaves at once, and what waits counts', async () => {
  const { transport, link, coalescer } = open()
  coalescer.addText(SINGLE, NEWS, '1')
  assert.ok(link.queuedBytes > 0)
  const d = 'x'.repeat(2000)
  for (let n = 0; n < 100; n++) coalescer.add(SINGLE, NEWS, { d }, 2010)
  assert.equal(transport.batches.length, 2)
  for (const { text } of transport.batches) assert.ok(text.length > 60_000 && text.length < 65_536, `${text.length}`)
  for (let n = 0; n < 1000; n++) coalescer.add(SINGLE, NEWS, { d }, 2010)
  assert.equal(transport.batches.length, 2)
  assert.ok(link.over, 'the link sees what it is to carry')
  // Two batches have 31 or fewer each.
  assert.ok(link.queuedBytes > 1035 * 2010 && link.queuedBytes < 1045 * 2020, `${link.queuedBytes}`)
  link.dropEvents(0)
  transport.acknowledgeAll()
  await turn()
  assert.equal(link.queuedBytes, 0)
  assert.ok(!link.over)
})

test('what was written before counts towards a full batch', () => {
  const { transport, link, coalescer } = open()
  link.write(eventFrame(0, 20, 'other', 'x'.repeat(50_000)))
  const d = 'x'.repeat(990)
  for (let n = 0; n < 20; n++) coalescer.add(SINGLE, NEWS, { d }, 1000)
  assert.equal(transport.batches.length, 1)
  assert.ok((transport.batches[0]?.text.length ?? 0) < 65_536)
})

test('one that fails for want of stack leaves the others as they are', async () => {
  const { transport, coalescer } = open()
  const original = globalThis.queueMicrotask
  globalThis.queueMicrotask = () => {
    throw new RangeError('Maximum call stack size exceeded')
  }
  try {
    assert.throws(() => coalescer.add(SINGLE, NEWS, { n: 1 }, 5), RangeError)
    assert.throws(() => coalescer.addText(SINGLE, NEWS, '2'), RangeError)
  } finally {
    globalThis.queueMicrotask = original
  }
  coalescer.add(SINGLE, NEWS, { n: 3 }, 5)
  await turn()
  assert.deepEqual(framesOf(transport), [['news@20', SINGLE, [{ n: 1 }, 2, { n: 3 }]]])
})

test('a JSON that all arrays were given changes nothing', async () => {
  const { transport, coalescer } = open()
  for (let n = 0; n < 3; n++) coalescer.add(SINGLE, NEWS, { n }, 5)
  Object.defineProperty(Array.prototype, 'toJSON', { value: () => 'odd', configurable: true })
  try {
    await turn()
  } finally {
    Reflect.deleteProperty(Array.prototype, 'toJSON')
  }
  assert.deepEqual(framesOf(transport), [['news@20', SINGLE, [{ n: 0 }, { n: 1 }, { n: 2 }]]])
})

test('who hurries, or waits until nothing waits, is not told before they have left', async () => {
  const { transport, link, coalescer } = open()
  coalescer.addText(SINGLE, NEWS, '1')
  link.hurry()
  assert.deepEqual(framesOf(transport), [['news@20', SINGLE, [1]]])
  transport.acknowledgeAll()
  coalescer.addText(SINGLE, NEWS, '2')
  let idle = false
  const waiting = link.idle().then(() => {
    idle = true
  })
  await turn()
  assert.equal(transport.inFlight, 1)
  assert.equal(idle, false)
  transport.acknowledge()
  await waiting
  assert.equal(transport.batches.length, 2)
})

test('a broken link takes them, and drops them', async () => {
  const { transport, link, coalescer } = open(500_000)
  const d = 'x'.repeat(990)
  for (let n = 0; n < 300; n++) coalescer.add(SINGLE, NEWS, { d }, 1000)
  assert.ok(!link.over)
  await turn()
  for (let n = 0; n < 1000; n++) coalescer.add(SINGLE, NEWS, { d }, 1000)
  assert.ok(link.over)
  coalescer.add(SINGLE, NEWS, { last: true }, 5)
  transport.acknowledge(new Error('gone'))
  assert.ok(!link.over)
  assert.equal(link.queuedBytes, 0)
  for (let n = 0; n < 1000; n++) coalescer.add(SINGLE, NEWS, { n }, 200)
  await turn()
  assert.equal(transport.batches.length, 2)
  assert.equal(link.queuedBytes, 0)
  await link.idle()
})

test('whatever is said in whichever order, it arrives in that order', async () => {
  const step = fc.record({
    heads: fc.constantFrom(NEWS, NEWS, NEWS, OTHER, TWO),
    flags: fc.constantFrom(SINGLE, SINGLE, SINGLE, 0, VALIDATED),
    value: fc.oneof(fc.json(), fc.constant('"漢"'), fc.constant(`"${'x'.repeat(3000)}"`)),
    how: fc.constantFrom('add', 'add', 'add', 'text', 'text', 'frame', 'turn', 'acknowledge'),
  })
  let together = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 200, size: 'max' }), async (steps) => {
      const { transport, link, coalescer } = open()
      const expected: [string, number, unknown][] = []
      for (const { heads, flags, value, how } of steps) {
        if (how === 'turn') await turn()
        if (how === 'acknowledge' && transport.inFlight > 0) transport.acknowledge()
        if (how === 'turn' || how === 'acknowledge') continue
        if (how === 'frame') {
          link.write(eventFrame(flags, 20, 'alone', value))
          expected.push(['alone@20', flags, JSON.parse(value)])
          continue
        }
        if (how === 'text') coalescer.addText(flags, heads, value)
        else coalescer.add(flags, heads, JSON.parse(value), value.length)
        for (const head of heads) {
          const frame = `\0\0\0\0\0${head}`
          expected.push([`${eventName(frame, 0)}@${readAddress(frame, 0)}`, flags, JSON.parse(value)])
        }
      }
      await turn()
      while (transport.inFlight > 0) {
        transport.acknowledgeAll()
        await turn()
      }
      const frames = framesOf(transport)
      together += frames.filter(([, , events]) => events.length > 1).length
      const of = (name: string, all: [string, number, unknown][]) => all.filter(([other]) => other === name)
      const arrived = frames.flatMap(([name, flags, events]) =>
        events.map((event): [string, number, unknown] => [name, flags, event]),
      )
      // Two addresses are two receivers: between them there is no order.
      const both = (all: [string, number, unknown][]) => all.filter(([name]) => !/2[12]$/.test(name))
      assert.deepEqual(both(arrived), both(expected))
      for (const name of ['news@21', 'news@22']) assert.deepEqual(of(name, arrived), of(name, expected))
      assert.equal(link.queuedBytes, 0)
    }),
    { numRuns: 100 },
  )
  assert.ok(together > 100, `${together} frames of more than one`)
})

test.run()
