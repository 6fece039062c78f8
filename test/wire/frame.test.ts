import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'uvu'
import * as frame from '#lib/wire/frame.js'
import * as packet from '#lib/wire/packet.js'
import { units } from './fake-transport.js'
import { eventFrame, manyFrame, requestFrame } from './frames.js'

const { Kind } = frame
const address = fc.nat(frame.MAX_ADDRESS)
const uint32 = fc.nat(0xffffffff)
const name = units(frame.MAX_NAME_LENGTH)
const flags = fc.constantFrom(0, frame.ATTACHED, frame.VALIDATED, frame.ATTACHED | frame.VALIDATED)
/** What stands before and after a frame in its batch must not matter. */
const around = fc.record({ before: units(12), after: units(12) })

/** A frame somewhere in a longer text, and where it is. */
function embed(text: string, { before, after }: { before: string; after: string }) {
  const whole = before + text + after
  const at = before.length
  const length = frame.readLength(whole, at)
  assert.equal(length, text.length)
  assert.ok(frame.isWellFormed(whole, at, length))
  return { whole, at, length }
}

function hasFlags(whole: string, at: number, expected: number) {
  for (const flag of [frame.ATTACHED, frame.VALIDATED]) {
    assert.equal(frame.hasFlag(whole, at, flag), (expected & flag) !== 0)
  }
}

test('an event frame reads as it was written', () => {
  fc.assert(
    fc.property(flags, address, name, units(60), around, (flags, to, name, body, places) => {
      const { whole, at, length } = embed(eventFrame(flags, to, name, body), places)
      assert.equal(frame.readKind(whole, at), Kind.Event)
      hasFlags(whole, at, flags)
      assert.equal(frame.readAddress(whole, at), to)
      assert.equal(frame.eventName(whole, at), name)
      assert.equal(whole.slice(frame.eventBody(whole, at), at + length), body)
    }),
  )
})

test('a request frame reads as it was written', () => {
  const deadline = fc.oneof(fc.integer({ min: 1, max: 2 ** 48 - 1 }), fc.constant(Number.POSITIVE_INFINITY))
  const retries = fc.nat(frame.MAX_RETRIES)
  fc.assert(
    fc.property(
      flags,
      address,
      uint32,
      deadline,
      retries,
      name,
      units(60),
      around,
      (flags, to, call, deadline, retries, name, body, places) => {
        const text = requestFrame(flags, to, call, deadline, retries, name, body)
        const { whole, at, length } = embed(text, places)
        assert.equal(frame.readKind(whole, at), Kind.Request)
        hasFlags(whole, at, flags)
        assert.equal(frame.readAddress(whole, at), to)
        assert.equal(frame.readCall(whole, at), call)
        assert.equal(frame.readDeadline(whole, at), deadline)
        assert.equal(frame.readRetries(whole, at), retries)
        assert.equal(frame.requestName(whole, at), name)
        assert.equal(whole.slice(frame.requestBody(whole, at), at + length), body)
      },
    ),
  )
})

test('a deadline that is no whole millisecond is never moved forward, one beyond the header is none', () => {
  const deadlineOf = (deadline: number) => frame.readDeadline(requestFrame(0, 20, 1, deadline, 0, 'task', ''), 0)
  assert.equal(deadlineOf(1_700_000_000_000.25), 1_700_000_000_001)
  assert.equal(deadlineOf(2 ** 48 - 1), 2 ** 48 - 1)
  assert.equal(deadlineOf(2 ** 48 - 0.5), Number.POSITIVE_INFINITY)
  assert.equal(deadlineOf(2 ** 48 + 5), Number.POSITIVE_INFINITY)
  assert.equal(deadlineOf(Number.MAX_SAFE_INTEGER), Number.POSITIVE_INFINITY)
  assert.equal(deadlineOf(Number.MAX_VALUE), Number.POSITIVE_INFINITY)
})

test('answers and cancellations read as they were written', () => {
  const kind = fc.constantFrom(Kind.Response, Kind.Failure, Kind.Refusal, Kind.Cancel)
  fc.assert(
    fc.property(kind, flags, address, uint32, units(60), around, (kind, flags, to, call, body, places) => {
      const { whole, at, length } = embed(frame.callFrame(kind | flags, to, call, body), places)
      assert.equal(frame.readKind(whole, at), kind)
      hasFlags(whole, at, flags)
      assert.equal(frame.readAddress(whole, at), to)
      assert.equal(frame.readCall(whole, at), call)
      assert.equal(whole.slice(frame.callBody(at), at + length), body)
    }),
  )
})

test('a sender frame reads as it was written', () => {
  // Ids and roles are never empty.
  const filled = name.filter((text) => text !== '')
  fc.assert(
    fc.property(address, uint32, filled, fc.option(filled, { nil: undefined }), around, (from, n, id, role, places) => {
      const { whole, at, length } = embed(frame.senderFrame(from, n, id, role), places)
      assert.equal(frame.readKind(whole, at), Kind.Sender)
      assert.equal(frame.readAddress(whole, at), from)
      assert.deepEqual(frame.readSender(whole, at, length), { incarnation: n, id, role })
    }),
  )
})

test('a control frame reads as it was written', () => {
  fc.assert(
    fc.property(units(60), around, (body, places) => {
      const { whole, at, length } = embed(frame.controlFrame(body), places)
      assert.equal(frame.readKind(whole, at), Kind.Control)
      assert.equal(frame.readAddress(whole, at), frame.Address.Hub)
      assert.equal(whole.slice(at + frame.HEADER_LENGTH, at + length), body)
    }),
  )
})

test('a packet reads as it was written, and an answer', () => {
  const scope = fc.constantFrom(...Object.values(packet.Scope))
  fc.assert(
    fc.property(
      uint32,
      scope,
      units(40),
      fc.array(units(9)),
      units(60),
      around,
      (call, to, nsp, rooms, body, places) => {
        const header = packet.packetHeader(frame.ASKING, call, to, nsp, packet.writeRooms(rooms), body.length)
        const { whole, at, length } = embed(header + body, places)
        assert.equal(frame.readKind(whole, at), Kind.Packet)
        assert.ok(frame.hasFlag(whole, at, frame.ASKING))
        assert.equal(frame.readCall(whole, at), call)
        assert.equal(packet.readScope(whole, at), to)
        assert.equal(packet.packetNamespace(whole, at), nsp)
        assert.deepEqual(packet.packetRooms(whole, at), rooms)
        assert.equal(whole.slice(packet.packetBody(whole, at), at + length), body)
        const answer = embed(frame.callFrame(packet.answerKind(true), 20, call, body), places)
        assert.equal(frame.readKind(answer.whole, answer.at), Kind.Answer)
        assert.ok(frame.hasFlag(answer.whole, answer.at, frame.DONE))
      },
    ),
  )
})

test('Latin frames stay within characters below 256', () => {
  const frames = [
    eventFrame(frame.ATTACHED | frame.VALIDATED, frame.MAX_ADDRESS, 'é', '"ü"'),
    requestFrame(frame.ATTACHED, 0xfedcba, 0xffffffff, 2 ** 48 - 1, 255, 'x'.repeat(255), ''),
    frame.callFrame(Kind.Response | frame.ATTACHED, 0xfedcba, 0x89abcdef, ''),
    frame.senderFrame(0xfedcba, 0xffffffff, 'x'.repeat(255), 'rôle'),
  ]
  for (const text of frames) assert.doesNotMatch(text, /[^\0-\xff]/)
})

/** Everything that readers of a well-formed frame look at, and where its parts end. */
function readAll(text: string, at: number, length: number): unknown[] {
  const kind = frame.readKind(text, at)
  const seen: unknown[] = [kind, frame.readAddress(text, at)]
  let body = at + frame.HEADER_LENGTH
  if (kind === Kind.Event) {
    seen.push(frame.eventName(text, at), frame.messageCount(text, at))
    body = frame.eventBody(text, at)
  } else if (kind === Kind.Request) {
    seen.push(frame.readCall(text, at), frame.readDeadline(text, at), frame.readRetries(text, at))
    seen.push(frame.requestName(text, at))
    body = frame.requestBody(text, at)
  } else if (kind === Kind.Sender) {
    const sender = frame.readSender(text, at, length)
    assert.equal(sender.id.length + (sender.role ?? '').length, length - 13)
    seen.push(sender)
  } else if (kind === Kind.Packet) {
    seen.push(frame.readCall(text, at), packet.readScope(text, at))
    seen.push(packet.packetNamespace(text, at), packet.packetRooms(text, at))
    body = packet.packetBody(text, at)
  } else if (kind !== Kind.Control) {
    seen.push(frame.readCall(text, at))
    body = frame.callBody(at)
  }
  assert.ok(body <= at + length, `the body begins ${body - at - length} characters behind the frame`)
  return seen
}

const headerCode = fc.oneof(
  { weight: 4, arbitrary: fc.nat(24) },
  { weight: 1, arbitrary: fc.nat(255) },
  { weight: 1, arbitrary: fc.nat(0xffff) },
)
const header = fc.array(headerCode, { minLength: 1, maxLength: 40 })
const longHeader = fc.array(headerCode, { minLength: 40, maxLength: 40 })

test('whatever a header says, what is well formed is read within its end', () => {
  let wellFormed = 0
  fc.assert(
    fc.property(longHeader, fc.nat(11), fc.nat(40), units(30), units(30), (codes, kind, length, oneTail, otherTail) => {
      // Left to chance, most would have no kind that exists.
      codes[4] = kind | ((codes[4] as number) & 0xf0)
      const text = String.fromCharCode(...codes)
      if (!frame.isWellFormed(text, 0, length)) return
      wellFormed++
      const own = text.slice(0, length)
      assert.deepEqual(readAll(own + oneTail, 0, length), readAll(own + otherTail, 0, length))
    }),
    { numRuns: 20_000 },
  )
  assert.ok(wellFormed > 1000, `only ${wellFormed} were well formed`)
})

test('no length brings a reader out of its text', () => {
  fc.assert(
    fc.property(header, fc.nat(40), (codes, at) => {
      const text = String.fromCharCode(...codes)
      if (at >= text.length) return
      const length = frame.readLength(text, at)
      if (frame.isWellFormed(text, at, length)) assert.ok(length >= 8 && at + length <= text.length)
    }),
    { numRuns: 20_000 },
  )
})

test('a frame cut short is not well formed', () => {
  const frames = [
    eventFrame(0, 20, 'news', ''),
    manyFrame(0, 20, 'news', 255, ''),
    requestFrame(0, 20, 1, 5, 0, 'task', ''),
    frame.callFrame(Kind.Response, 20, 1, ''),
    frame.senderFrame(20, 1, 'mailer', undefined),
    frame.controlFrame(''),
  ]
  for (const text of frames) {
    assert.ok(frame.isWellFormed(text, 0, text.length))
    for (let length = 0; length < text.length; length++) {
      assert.ok(!frame.isWellFormed(text, 0, length), `kind ${frame.readKind(text, 0)} of ${length} characters`)
      assert.ok(!frame.isWellFormed(text.slice(0, length), 0, text.length))
    }
  }
})

test('a frame of many events says how many, and has nothing attached', () => {
  for (const count of [1, 2, 255]) {
    const text = manyFrame(frame.SINGLE, 20, 'news', count, '[1,2]')
    assert.ok(frame.isWellFormed(text, 0, text.length))
    assert.equal(frame.messageCount(text, 0), count)
    assert.equal(text.slice(frame.eventBody(text, 0)), '[1,2]')
    assert.equal(frame.eventName(text, 0), 'news')
  }
  assert.equal(frame.messageCount(eventFrame(0, 20, 'news', '[1,2]'), 0), 1)
  for (const text of [
    manyFrame(0, 20, 'news', 0, '[]'),
    manyFrame(0, 20, 'news', 256, '[]'),
    manyFrame(frame.ATTACHED, 20, 'news', 2, '[1,2]'),
  ]) {
    assert.ok(!frame.isWellFormed(text, 0, text.length))
  }
})

test('kinds that do not exist are not well formed', () => {
  for (const kind of [0, 11, 12, 13, 14, 15]) {
    assert.ok(!frame.isWellFormed(frame.callFrame(kind, 20, 1, 'body'), 0, 16), `kind ${kind}`)
  }
})

test('two event heads are the same when target and name are', () => {
  const head = fc.record({ to: fc.constantFrom(1, 2, 300, 0x10001), name: fc.constantFrom('', 'a', 'ab', '新', 'aa') })
  fc.assert(
    fc.property(head, head, units(5), units(5), flags, (one, other, body, otherBody, flags) => {
      const first = eventFrame(0, one.to, one.name, body)
      const text = first + eventFrame(flags, other.to, other.name, otherBody)
      const same = one.to === other.to && one.name === other.name
      assert.equal(frame.sameEventHead(text, 0, first.length), same)
      assert.equal(frame.sameEventHead(text, first.length, 0), same)
    }),
    { numRuns: 500 },
  )
})

test('a recoverable packet reads as it was written, with the hub’s sequence and as a replay', () => {
  const sequence = fc.nat(2 ** 31 - 1).map((n) => n * 65_536 + 7)
  const rooms = fc.array(units(20), { maxLength: 3 })
  fc.assert(
    fc.property(
      name,
      rooms,
      rooms,
      units(60),
      sequence,
      sequence,
      uint32,
      around,
      (nsp, to, except, body, local, hub, call, places) => {
        const recovery = packet.writeRecovery(local, except)
        const header = packet.packetHeader(
          frame.RECOVERABLE,
          0,
          packet.Scope.Rooms,
          nsp,
          packet.writeRooms(to),
          body.length,
          recovery,
        )
        const { whole, at, length } = embed(header + body, places)
        assert.equal(packet.hubSequence(whole, at), 0)
        const numbered = packet.sequenced(whole, at, length, hub)
        for (const text of [numbered, packet.replayed(numbered, call)]) {
          assert.ok(frame.isWellFormed(text, 0, text.length))
          assert.equal(frame.readLength(text, 0), text.length)
          assert.equal(frame.readKind(text, 0), Kind.Packet)
          assert.equal(packet.packetNamespace(text, 0), nsp)
          assert.deepEqual(packet.packetRooms(text, 0), to)
          assert.deepEqual(packet.packetExcept(text, 0), except)
          assert.equal(packet.senderSequence(text, 0), local)
          assert.equal(packet.hubSequence(text, 0), hub)
          assert.equal(text.slice(packet.packetBody(text, 0)), body)
        }
        assert.equal(frame.readCall(packet.replayed(numbered, call), 0), call)
        assert.ok(frame.hasFlag(packet.replayed(numbered, call), 0, frame.KEPT))
        // Whoever claims more rooms than fit is not believed.
        const cut = numbered.slice(0, header.length - packet.writeRooms(except).length - 1)
        assert.ok(!frame.isWellFormed(cut, 0, cut.length))
      },
    ),
  )
})

test.run()
