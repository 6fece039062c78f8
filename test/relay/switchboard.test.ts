import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'uvu'
import type { ToHub } from '#lib/relay/control.js'
import { Directory } from '#lib/relay/directory.js'
import type { Outlet, Peer } from '#lib/relay/peer.js'
import { NOWHERE, Switchboard } from '#lib/relay/switchboard.js'
import {
  Address,
  ASKING,
  ATTACHED,
  callFrame,
  controlFrame,
  KEPT,
  Kind,
  RECOVERABLE,
  readAddress,
  readKind,
  senderFrame,
  uint48,
} from '#lib/wire/frame.js'
import { packetHeader, Scope, writeRecovery } from '#lib/wire/packet.js'
import { FakeTransport, framesOf, units } from '../wire/fake-transport.js'
import { eventFrame, requestFrame } from '../wire/frames.js'
import { FakeHub, OPTIONS, Outgoing } from './fakes.js'

/** An outlet that notes down each piece that it is given. */
class Spy implements Outlet {
  readonly only: readonly Outlet[] = [this]
  readonly pieces: { frames: string; attachments: readonly Uint8Array[]; owned: boolean | undefined }[] = []

  deliver(_sender: Peer, frames: string, attachments: readonly Uint8Array[], owned?: boolean): void {
    this.pieces.push({ frames, attachments, owned })
  }

  get frames() {
    return this.pieces.flatMap(({ frames, attachments }) => framesOf({ text: `${MARKER}${frames}`, attachments }))
  }
}

const MARKER = new Outgoing().text

/** A switchboard with the tasks' room and everybody's links replaced by spies. */
function switchboard(onControl: (body: string) => void = () => {}) {
  const directory = new Directory({
    ...OPTIONS,
    onPressure: () => {},
    onSlow: () => {},
    onHeld: () => {},
    onOffence: () => {},
  })
  const from = directory.enter(directory.addPlace('from', undefined), 1, new FakeTransport())
  const spies = new Map<number, Spy>()
  const spy = (address: number) => {
    let found = spies.get(address)
    if (!found) {
      found = new Spy()
      spies.set(address, found)
    }
    return found
  }
  const seats = ['a', 'b', 'c'].map((id) => {
    const place = directory.addPlace(id, undefined)
    place.deliver = (...piece) => spy(place.address).deliver(...piece)
    return place
  })
  // Requests, answers and cancellations go where they say.
  const route = (_from: Peer, text: string, at: number) => {
    const address = readAddress(text, at)
    return address === Address.Anybody ? NOWHERE : spy(address).only
  }
  const board = new Switchboard(directory, { request: route, answer: route, cancel: route }, (_from, body) =>
    onControl(body),
  )
  return { directory, board, from, seats: seats.map(({ address }) => address), spy }
}

test('frames that go the same way are one piece', () => {
  const { board, from, seats, spy } = switchboard()
  const [a, b] = seats as [number, number]
  const batch = new Outgoing()
  for (let i = 0; i < 100; i++) batch.event(a, 'news', `[${i}]`)
  for (let i = 0; i < 100; i++) batch.event(b, 'news', `[${i}]`)
  for (let i = 0; i < 100; i++) batch.event(a, i % 2 ? 'news' : 'other', `[${i}]`)
  board.receive(from, batch)
  assert.equal(spy(b).pieces.length, 1)
  assert.equal(spy(a).pieces.length, 2)
  assert.equal(spy(a).frames.length, 200)
})

test('a piece that is most of what came with it may wait as it is; any smaller one would keep too much alive', () => {
  const { board, from, seats, spy } = switchboard()
  const [a, b] = seats as [number, number]
  const read = new Uint8Array(100_000)
  const part = (start: number, length: number) => read.subarray(start, start + length)
  const batches: [Outgoing, boolean][] = [
    [new Outgoing().event(a, 'news', 'x'.repeat(900)).event(b, 'news', 'x'.repeat(100)), true],
    [new Outgoing().event(a, 'news', 'x'.repeat(100)).event(b, 'news', 'x'.repeat(900)), false],
    [new Outgoing().event(a, 'news', '', part(100, 30_000)).event(a, 'news', '', part(30_100, 30_000)), true],
    [new Outgoing().event(a, 'news', '', part(100, 30_000)), false],
    [new Outgoing().event(a, 'news', '', new Uint8Array(10)).event(a, 'news', '', part(0, 10)), false],
    [new Outgoing().event(a, 'news', '', part(0, 90_000)).event(b, 'news', 'x'.repeat(100)), false],
  ]
  for (const [batch] of batches) board.receive(from, batch)
  assert.deepEqual(
    spy(a).pieces.map(({ owned }) => owned),
    batches.map(([, owned]) => owned),
  )
})

const seat = fc.nat(2)
const bytes = fc.option(fc.uint8Array({ minLength: 1, maxLength: 8 }), { nil: undefined })
const mixed = fc.record({
  kind: fc.constantFrom('event', 'event', 'event', 'request', 'response', 'failure', 'refusal', 'cancel', 'control'),
  seat,
  name: fc.constantFrom('', 'a', 'b', '新聞', '\ud83d'),
  body: units(10),
  bytes,
  lost: fc.boolean(),
})

test('whatever is mixed, each target gets its frames in order, with their attachments', () => {
  fc.assert(
    fc.property(fc.array(mixed, { maxLength: 40 }), (steps) => {
      const controls: string[] = []
      const seen: number[] = []
      const { board, from, seats, spy } = switchboard((body) => {
        controls.push(body)
        seen.push(seats.reduce((sum, address) => sum + spy(address).frames.length, 0))
      })
      const batch = new Outgoing()
      const expected = new Map<number, Outgoing>(seats.map((address) => [address, new Outgoing()]))
      const expectedControls: string[] = []
      const expectedSeen: number[] = []
      let sent = 0
      for (const { kind, seat, name, body, bytes, lost } of steps) {
        const flags = bytes ? ATTACHED : 0
        // Some go nowhere: their attachments must not slip to the next.
        const address = lost ? Address.Anybody : (seats[seat] as number)
        let frame: string
        let attachment = bytes
        if (kind === 'event') frame = eventFrame(flags, lost ? 0xfffff : address, name, body)
        else if (kind === 'request') frame = requestFrame(flags, address, 1, 0, 0, name, body)
        else if (kind === 'control') {
          frame = controlFrame(body)
          attachment = undefined
          expectedControls.push(body)
          expectedSeen.push(sent)
        } else {
          const kinds = { response: Kind.Response, failure: Kind.Failure, refusal: Kind.Refusal, cancel: Kind.Cancel }
          frame = callFrame(kinds[kind as keyof typeof kinds] | flags, address, 1, body)
        }
        batch.add(frame, attachment)
        if (lost || kind === 'control') continue
        expected.get(address)?.add(frame, attachment)
        sent++
      }
      board.receive(from, batch)
      for (const address of seats) assert.deepEqual(spy(address).frames, framesOf(expected.get(address) as Outgoing))
      assert.deepEqual(controls, expectedControls)
      // What a member told the hub comes after all that it sent before, and before all that it sent afterwards.
      assert.deepEqual(seen, expectedSeen)
    }),
    { numRuns: 1000 },
  )
})

test('no body is read: what is no JSON passes as it is', () => {
  const { board, from, seats, spy } = switchboard()
  const [a] = seats as [number]
  const bodies = ['', '{', 'not json', '\0\0\0', '\ud800', MARKER, 'x'.repeat(100_000)]
  const batch = new Outgoing()
  for (const body of bodies) {
    batch.event(a, 'news', body)
    batch.add(requestFrame(0, a, 1, 0, 0, 'task', body))
    batch.add(callFrame(Kind.Response, a, 1, body))
  }
  const original = JSON.parse
  JSON.parse = () => {
    throw new Error('JSON.parse was called')
  }
  try {
    board.receive(from, batch)
  } finally {
    JSON.parse = original
  }
  assert.deepEqual(spy(a).frames, framesOf(batch))
})

test('what stands before a malformed frame has been relayed, what follows is dropped', () => {
  const bad = [
    '\0\0',
    '\0\0\0\x08\x0f\0\0\0',
    '\xff\0\0\x08\x01\0\0\x10\0',
    // From the hub to members, never to the hub.
    senderFrame(20, 1, 'somebody else', undefined),
    // Says that something is attached, and nothing is.
    eventFrame(ATTACHED, 17, 'news', ''),
  ]
  for (const frame of bad) {
    const { board, from, seats, spy } = switchboard()
    const [a] = seats as [number]
    const before = new Outgoing().event(a, 'news', '1').event(a, 'news', '2', new Uint8Array(2))
    const batch = new Outgoing().event(a, 'news', '1').event(a, 'news', '2', new Uint8Array(2))
    batch.add(frame).event(a, 'news', '3')
    assert.throws(() => board.receive(from, batch), { code: 'ERR_HUB_PROTOCOL' })
    assert.deepEqual(spy(a).frames, framesOf(before))
  }
})

test('garbage costs its sender a count, nobody else anything', async () => {
  const hub = new FakeHub()
  const one = hub.member('one', ['news'])
  const other = hub.member('other', ['news'])
  const warnings: unknown[] = []
  const note = (warning: Error) => warnings.push((warning as Error & { code?: string }).code)
  process.on('warning', note)
  try {
    for (const garbage of ['\0', '\0\0\0\x08\x0f\0\0\0', controlFrame('no json'), controlFrame('null')]) {
      hub.send(one, new Outgoing().add(garbage))
    }
    hub.send(other, new Outgoing().event(Address.Others, 'news', '1'))
    assert.equal((await hub.messages(one)).length, 1)
    hub.send(one, new Outgoing().event(Address.Others, 'news', '2'))
    assert.equal((await hub.messages(other)).length, 1)
    const counts = hub.exchange.stats().map(({ id, protocolErrors }) => [id, protocolErrors])
    assert.deepEqual(counts, [
      ['one', 4],
      ['other', 0],
    ])
    assert.deepEqual(warnings, ['ERR_HUB_PROTOCOL'])
  } finally {
    process.off('warning', note)
  }
})

test('what a member tells the hub is looked at before anything depends on it', async () => {
  const hub = new FakeHub()
  const one = hub.member('one')
  const nsp = '/'
  const session = { t: 'session', nsp, pid: 'p', sid: 's', at: 'g.0.0', rooms: [], data: { text: '[]' } }
  const wrong: object[] = [
    // This one came to light in a promise that nobody awaited, and ended the hub.
    { t: 'drained', n: 1, to: null },
    { t: 'drained', n: 1, to: [-1] },
    { t: 'drained', n: 1 },
    { t: 'listen', name: {}, on: true },
    { t: 'listen', name: 'x'.repeat(256), on: true },
    { t: 'handle', name: 'task', concurrency: 'many' },
    { t: 'handle', name: 'task', concurrency: 0 },
    { t: 'hello', protocol: 1 },
    { t: 'attach', nsp, recovery: { session: 'long', packets: 1 } },
    { t: 'rooms', nsp, join: 'room' },
    { ...session, data: {} },
    { ...session, rooms: {} },
    // From here on the bytes kept for recovery were no number, and nothing was ever over its bound.
    { t: 'session-away', nsp, pid: 'p', data: { text: 5 } },
    { t: 'restore', nsp, n: 2 ** 32, pid: 'p', offset: '' },
    { t: 'connections', taken: -1, open: 0 },
    { t: 'serve', socket: 1, tls: false },
    { t: 'route' },
    { t: '__proto__' },
    { t: 'toString' },
    {},
    [],
  ]
  hub.send(one, new Outgoing().control({ t: 'attach', nsp, recovery: { session: 1e6, packets: 1e6 } }))
  hub.send(one, new Outgoing().control(session as ToHub))
  for (const message of wrong) hub.send(one, new Outgoing().add(controlFrame(JSON.stringify(message))))
  const offences = (await hub.told(one)).filter(({ t }) => t === 'offence')
  assert.deepEqual(offences, [
    {
      t: 'offence',
      message:
        'A control message is malformed: the field "to" of "drained" cannot be null. ' +
        'Do all processes run the same version of hubwire?',
    },
  ])
  assert.equal(hub.exchange.stats()[0]?.protocolErrors, wrong.length)
  const { bytes, sessions } = hub.exchange.recoveryStats() ?? {}
  assert.ok(bytes && bytes > 0 && bytes < 1000, `${bytes} bytes`)
  assert.equal(sessions, 1)
})

test("the place of a packet in the order is the hub's to give, and nobody passes on more than a packet of its own", async () => {
  const hub = new FakeHub()
  const one = hub.member('one')
  const other = hub.member('other')
  for (const peer of [one, other]) {
    hub.send(peer, new Outgoing().control({ t: 'attach', nsp: '/', recovery: { session: 1e6, packets: 1e6 } }))
    hub.send(peer, new Outgoing().control({ t: 'rooms', nsp: '/', sockets: true }))
  }
  const packet = (flags: number, call: number, recovery?: string) =>
    packetHeader(flags, call, Scope.Sockets, '/', '', 1, recovery).concat('x')
  const own = writeRecovery(1, [])
  const forged = [
    packet(RECOVERABLE, 7, own),
    packet(RECOVERABLE, 0, uint48(9) + own.slice(6)),
    packet(RECOVERABLE | ASKING, 0, own),
  ]
  for (const frame of forged) hub.send(one, new Outgoing().add(frame))
  const admit = (frame: string) => new Outgoing().control({ t: 'admit', nsp: '/', to: null, rooms: ['r'], frame })
  const admitted = [packet(KEPT | ATTACHED, 0), packet(KEPT | ASKING, 3), packet(KEPT | RECOVERABLE, 0, own), 'x', '']
  for (const frame of admitted) hub.send(one, admit(frame))
  assert.deepEqual(await hub.messages(other), [])
  assert.equal(hub.exchange.stats()[0]?.protocolErrors, forged.length + admitted.length)
  hub.send(one, new Outgoing().add(packet(RECOVERABLE, 0, own)))
  hub.send(one, admit(packet(KEPT, 0)))
  assert.equal((await hub.messages(other)).length, 2)
})

test('a call whose number cannot be written in an answer is refused: the answer would be to another call', async () => {
  const hub = new FakeHub()
  const caller = hub.member('caller')
  const server = hub.member('server')
  hub.send(server, new Outgoing().control({ t: 'handle', name: 'task', concurrency: null }))
  const frame = requestFrame(0, server.place.address, 5, 0, 0, 'task', '1')
  for (const unit of ['\u0100', '\uffff']) {
    for (const at of [8, 9]) {
      if (unit === '\u0100' && at === 9) continue
      hub.send(caller, new Outgoing().add(frame.slice(0, at) + unit + frame.slice(at + 1)))
    }
  }
  assert.deepEqual(await hub.messages(server), [])
  assert.equal(hub.exchange.stats()[0]?.protocolErrors, 3)
})

test('events to an address that was never given out are counted and go nowhere', async () => {
  const hub = new FakeHub()
  const one = hub.member('one', ['news'])
  for (const address of [Address.Hub, Address.Anybody, 15, 0xfffff, 0xffffff]) {
    hub.send(one, new Outgoing().event(address, 'news', '1'))
  }
  assert.deepEqual(await hub.messages(one), [])
  assert.equal(hub.exchange.stats()[0]?.protocolErrors, 5)
})

test('only whoever was asked can answer, once', async () => {
  const hub = new FakeHub()
  const caller = hub.member('caller')
  const server = hub.member('server')
  const stranger = hub.member('stranger')
  hub.send(server, new Outgoing().control({ t: 'handle', name: 'task', concurrency: null }))
  hub.send(caller, new Outgoing().add(requestFrame(0, server.place.address, 5, 0, 0, 'task', '1')))
  assert.equal((await hub.messages(server)).length, 1)
  const answer = (call: number, address: number, body: string) =>
    new Outgoing().add(callFrame(Kind.Response, address, call, body))
  hub.send(stranger, answer(5, caller.address, 'forged'))
  hub.send(server, answer(6, caller.address, 'to another call'))
  hub.send(server, answer(5, caller.place.address, 'to the seat'))
  hub.send(server, answer(5, server.address, 'to itself'))
  hub.send(server, answer(5, caller.address, 'right'))
  hub.send(server, answer(5, caller.address, 'again'))
  assert.deepEqual(
    (await hub.messages(caller)).map(({ text, from }) => [text.slice(12), from]),
    [['right', 'server']],
  )
  assert.deepEqual(await hub.messages(server), [])
  assert.deepEqual(
    hub.exchange.stats().map(({ id, protocolErrors }) => [id, protocolErrors]),
    [
      ['caller', 0],
      ['server', 4],
      ['stranger', 1],
    ],
  )
})

test('a sign of life is asked for past all that waits for a member', async () => {
  const hub = new FakeHub()
  const sender = hub.member('sender')
  const busy = hub.member('busy', ['load'])
  await hub.arrived(busy)
  const load = new Outgoing().event(busy.place.address, 'load', 'x'.repeat(70_000))
  // The first two are on their way, the others wait for them.
  for (let i = 0; i < 5; i++) hub.send(sender, load)
  hub.exchange.ping(busy)
  const kinds = (await hub.arrived(busy)).map(({ text }) => readKind(text, 0))
  assert.deepEqual(kinds.slice(0, 3), [Kind.Event, Kind.Event, Kind.Control])
})

test.run()
