import assert from 'node:assert/strict'
import fc from 'fast-check'
import { isHubMessage } from 'hubwire'
import { test } from 'uvu'
import { type Batch, fromMessage, MARKER, readBatch, toMessage, withoutEvents } from '#lib/wire/batch.js'
import { ATTACHED, callFrame, controlFrame, Kind, readKind, senderFrame } from '#lib/wire/frame.js'
import { Link } from '#lib/wire/link.js'
import { FakeTransport, framesOf, turn, units } from './fake-transport.js'
import { eventFrame, manyFrame, requestFrame } from './frames.js'

interface Piece {
  text: string
  attachments: Uint8Array[]
}

const body = fc.oneof(
  { weight: 6, arbitrary: units(20) },
  { weight: 1, arbitrary: fc.constantFrom('x'.repeat(70_000), '漢'.repeat(30_000), 'y'.repeat(20_000)) },
)
const bytes = fc.option(fc.uint8Array({ maxLength: 40 }), { nil: undefined })

function event(name: string, body: string, attachment?: Uint8Array): Piece {
  const flags = attachment ? ATTACHED : 0
  return { text: eventFrame(flags, 20, name, body), attachments: attachment ? [attachment] : [] }
}

const eventPiece = fc.tuple(units(6), body, bytes).map(([name, body, attachment]) => event(name, body, attachment))
const otherPiece = fc.oneof(
  fc.tuple(units(6), body, bytes).map(([name, body, attachment]) => ({
    text: requestFrame(attachment ? ATTACHED : 0, 20, 7, 8, 0, name, body),
    attachments: attachment ? [attachment] : [],
  })),
  fc.tuple(body, bytes).map(([body, attachment]) => ({
    text: callFrame(attachment ? Kind.Response | ATTACHED : Kind.Response, 20, 7, body),
    attachments: attachment ? [attachment] : [],
  })),
  body.map((body) => ({ text: controlFrame(body), attachments: [] })),
)
const senderPiece = fc
  .constantFrom('a', '漢字', 'b')
  .map((id) => ({ text: senderFrame(30, 1, id, 'web'), attachments: [] }))

function batchOf(pieces: Piece[]): Batch {
  return {
    text: MARKER + pieces.map(({ text }) => text).join(''),
    attachments: pieces.flatMap(({ attachments }) => attachments),
  }
}

test('frames written to a link arrive as the same frames in the same order, whatever the batching', async () => {
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.tuple(fc.oneof(eventPiece, otherPiece), fc.nat(20), fc.boolean()) },
    { weight: 2, arbitrary: fc.constantFrom('turn' as const, 'acknowledge' as const) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const transport = new FakeTransport()
      const link = new Link(transport, { highWaterMark: 1e9 })
      const written: Piece[] = []
      for (const step of steps) {
        if (step === 'turn') await turn()
        else if (step === 'acknowledge') {
          if (transport.inFlight > 0) transport.acknowledge()
        } else {
          const [piece, cut, owned] = step
          written.push(piece)
          link.write(piece.text.slice(0, cut), piece.text.slice(cut), piece.attachments, owned)
        }
      }
      await turn()
      transport.acknowledgeAll()
      assert.equal(link.queuedBytes, 0)
      assert.deepEqual(transport.frames, framesOf(batchOf(written)))
      assert.ok(transport.mostInFlight <= 2)
    }),
    { numRuns: 150 },
  )
})

test('a batch comes out of its message as it went in', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(eventPiece, otherPiece), { maxLength: 5 }), (pieces) => {
      const batch = batchOf(pieces)
      const message = toMessage(batch)
      assert.ok(isHubMessage(message))
      assert.deepEqual(fromMessage(message), batch)
    }),
  )
})

test('a batch without attachments is a string, so that nothing else is cloned', () => {
  assert.equal(typeof toMessage(batchOf([event('news', '[]')])), 'string')
})

test("others' messages are not taken for batches", () => {
  const theirs: unknown[] = [
    undefined,
    null,
    0,
    '',
    'hubwire1',
    '\x11hubwire',
    '\x11hubwire2\x11',
    ` ${MARKER}`,
    {},
    { 0: MARKER, length: 1 },
    [],
    [undefined],
    [0, MARKER],
    [[MARKER]],
    new Map([[0, MARKER]]),
    { type: MARKER },
    Buffer.from(MARKER),
    // What @socket.io/cluster-adapter and prom-client send.
    { source: '_sio_adapter', type: 3, data: { opts: {} } },
    { type: 'prom-client:getMetricsReq', requestId: 0 },
  ]
  for (const message of theirs) {
    assert.equal(fromMessage(message), undefined)
    assert.equal(isHubMessage(message), false)
  }
})

test('nor is a text of theirs that is longer than the marker', () => {
  for (const own of ['x'.repeat(100), JSON.stringify({ cmd: 'something', rest: MARKER })]) {
    assert.equal(fromMessage(own), undefined)
    assert.equal(fromMessage([own, new Uint8Array(1)]), undefined)
    assert.equal(isHubMessage(own), false)
  }
})

test('an attachment that is no binary is refused', () => {
  for (const attachment of ['text', null, {}, [1], new ArrayBuffer(1), undefined]) {
    const { text } = event('news', '')
    assert.throws(() => fromMessage([MARKER + text, attachment]), {
      code: 'ERR_HUB_PROTOCOL',
      message: /is not binary/,
    })
  }
})

test('a list that says it is very long, as it may in a few bytes, is refused before anybody goes over it', () => {
  const long: unknown[] = [MARKER + event('news', '').text]
  long.length = 2 ** 32 - 1
  const begun = performance.now()
  assert.throws(() => fromMessage(long), { code: 'ERR_HUB_PROTOCOL', message: /carried 4294967294 attachments/ })
  // To go over it takes minutes.
  assert.ok(performance.now() - begun < 5000)
})

test('a malformed batch is refused at the first frame that is wrong; those before it have been read', () => {
  const good = event('news', '[1]')
  const bad = [
    '\0',
    '\0\0\0\x07\x01\0\0\x14',
    good.text.slice(0, -1),
    callFrame(15, 20, 1, ''),
    // Says that something is attached, and nothing is.
    eventFrame(ATTACHED, 20, 'news', ''),
  ]
  for (const text of bad) {
    let seen = 0
    assert.throws(
      () =>
        readBatch({ text: MARKER + good.text + text, attachments: [] }, () => {
          seen++
        }),
      {
        code: 'ERR_HUB_PROTOCOL',
        message:
          `A batch is malformed at position ${MARKER.length + good.text.length}: its rest was dropped. ` +
          'Do all processes run the same version of hubwire?',
      },
    )
    assert.equal(seen, 1)
  }
})

test('without its events a batch keeps all else in order, each with its own sender and attachment', () => {
  /** Every frame that is no event, with the sender in force. */
  const rest = (batch: Batch) => {
    let sender = ''
    const found: unknown[] = []
    for (const frame of framesOf(batch)) {
      const kind = readKind(frame.text, 0)
      if (kind === Kind.Sender) sender = frame.text
      // A control frame is the hub's own: no sender matters for it.
      else if (kind !== Kind.Event) found.push([kind === Kind.Control ? '' : sender, frame])
    }
    return found
  }
  fc.assert(
    fc.property(fc.array(fc.oneof(eventPiece, otherPiece, senderPiece), { maxLength: 30 }), (pieces) => {
      const batch = batchOf(pieces)
      const thinned = withoutEvents(batch)
      assert.deepEqual(rest(thinned.batch), rest(batch))
      assert.equal(
        framesOf(thinned.batch).some(({ text }) => readKind(text, 0) === Kind.Event),
        false,
      )
      assert.equal(thinned.dropped, framesOf(batch).filter(({ text }) => readKind(text, 0) === Kind.Event).length)
      assert.ok(thinned.batch.text.length <= batch.text.length)
    }),
    { numRuns: 300 },
  )
})

test('of a batch of events alone only the marker is left', () => {
  const pieces = [
    { text: senderFrame(30, 1, 'a', undefined), attachments: [] },
    event('a', '', new Uint8Array(3)),
    event('b', '1'),
  ]
  assert.deepEqual(withoutEvents(batchOf(pieces)), { batch: { text: MARKER, attachments: [] }, dropped: 2 })
})

test('of events that share a frame each is counted', () => {
  const text = MARKER + eventFrame(0, 20, 'e', '[]') + manyFrame(0, 20, 'e', 7, '[[],[],[],[],[],[],[]]')
  assert.deepEqual(withoutEvents({ text, attachments: [] }), { batch: { text: MARKER, attachments: [] }, dropped: 8 })
})

test('what stays where events are dropped keeps nothing of them alive', () => {
  const read = new Uint8Array(1000)
  const attachments = [read.subarray(0, 900), read.subarray(900, 910)]
  const text = `${MARKER}${eventFrame(ATTACHED, 20, 'e', '')}${requestFrame(ATTACHED, 20, 7, 8, 0, 'task', '')}`
  const { batch, dropped } = withoutEvents({ text, attachments })
  assert.equal(dropped, 1)
  assert.deepEqual(batch.attachments, [attachments[1]])
  assert.equal(batch.attachments[0]?.buffer.byteLength, 10)
})

test.run()
