import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Directory } from '#lib/relay/directory.js'
import type { Peer } from '#lib/relay/peer.js'
import { Rooms } from '#lib/relay/rooms.js'
import { Switchboard } from '#lib/relay/switchboard.js'
import { MARKER } from '#lib/wire/batch.js'
import { ASKING, callHeader, eventHead, eventHeader, KEPT, uint32 } from '#lib/wire/frame.js'
import { answerKind, packetHeader, packetRooms, Scope, writeRooms } from '#lib/wire/packet.js'

const OPTIONS = {
  highWaterMark: 1 << 20,
  maxQueueBytes: 1 << 20,
  maxHeldBytes: 1 << 20,
  slowAfter: 1000,
  onSlow: () => {},
  onOffence: () => {},
  onHeld: () => {},
  onPressure: () => {},
}

const MAX_QUESTIONS = 20

/** What a peer was given to deliver: how many runs, and their frames. */
interface Delivery {
  to: Peer
  frames: string
  attached: number
}

function office(count: number) {
  const directory = new Directory(OPTIONS)
  const deliveries: Delivery[] = []
  const asked: { from: Peer; call: number; to: readonly Peer[] }[] = []
  const rooms = new Rooms((from, call, to) => asked.push({ from, call, to }), MAX_QUESTIONS)
  const peers: Peer[] = []
  const enter = (id: string): Peer => {
    const place = directory.place(id) ?? directory.addPlace(id, undefined)
    const peer = directory.enter(place, place.incarnation + 1, {
      send: (_batch, done) => setImmediate(done, null),
      sendHandle: () => {},
    })
    peer.ready = true
    peer.registrations.any = true
    const deliver = peer.deliver.bind(peer)
    peer.deliver = (sender, frames, attachments, owned) => {
      deliveries.push({ to: peer, frames, attached: attachments.length })
      deliver(sender, frames, attachments, owned)
    }
    return peer
  }
  for (let i = 0; i < count; i++) peers.push(enter(`w-${i}`))
  const nowhere = () => []
  const tasks = { request: nowhere, answer: nowhere, cancel: nowhere }
  const controls: string[] = []
  const switchboard = new Switchboard(directory, tasks, (_peer, body) => controls.push(body), rooms)
  return { rooms, peers, enter, switchboard, deliveries, asked, controls }
}

function packet(
  nsp: string,
  rooms: readonly string[] | 'sockets' | 'servers',
  body = 'x',
  flags = 0,
  call = 0,
): string {
  const scope = rooms === 'sockets' ? Scope.Sockets : rooms === 'servers' ? Scope.Servers : Scope.Rooms
  return packetHeader(flags, call, scope, nsp, typeof rooms === 'string' ? '' : writeRooms(rooms), body.length) + body
}

const WORKERS = 4
const worker = fc.nat(WORKERS - 1)
const namespace = fc.constantFrom('/', '/a', '')
const room = fc.constantFrom('r', 's', '__proto__', '', 'ü\ud800', 't'.repeat(300))
const some = fc.uniqueArray(room, { minLength: 1, maxLength: 3 })

type Step =
  | { do: 'attach' | 'detach' | 'hold' | 'release'; worker: number; nsp: string }
  | { do: 'join' | 'leave'; worker: number; nsp: string; rooms: string[] }
  | { do: 'admit'; worker: number; nsp: string; to: string[] | null; rooms: string[] }
  | { do: 'die'; worker: number }
  | { do: 'send'; worker: number; nsp: string; to: string[] | 'sockets' | 'servers' }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('attach', 'detach', 'hold', 'release'), worker, nsp: namespace }),
  fc.record({ do: fc.constantFrom('join', 'join', 'leave'), worker, nsp: namespace, rooms: some }),
  fc.record({ do: fc.constant('admit'), worker, nsp: namespace, to: fc.option(some), rooms: some }),
  fc.record({ do: fc.constant('die'), worker }),
  fc.record({
    do: fc.constant('send'),
    worker,
    nsp: namespace,
    to: fc.oneof(some, fc.constantFrom('sockets', 'servers')),
  }),
) as fc.Arbitrary<Step>

/** The same, without thinking: every membership of every worker is one entry of a list. */
class Model {
  entries: { worker: number; nsp: string; what: string }[] = []

  add(worker: number, nsp: string, what: string): void {
    this.entries.push({ worker, nsp, what })
  }

  remove(worker: number, nsp: string, what: string): void {
    const at = this.entries.findIndex((entry) => entry.worker === worker && entry.nsp === nsp && entry.what === what)
    if (at >= 0) this.entries.splice(at, 1)
  }

  clear(worker: number, nsp?: string): void {
    this.entries = this.entries.filter((entry) => entry.worker !== worker || (nsp !== undefined && entry.nsp !== nsp))
  }

  attached(worker: number, nsp: string): boolean {
    return this.entries.some((entry) => entry.worker === worker && entry.nsp === nsp && entry.what === 'server')
  }

  targets(from: number, nsp: string, to: readonly string[] | 'sockets' | 'servers'): number[] {
    const wanted = to === 'sockets' ? ['socket'] : to === 'servers' ? ['server'] : to.map((name) => `room ${name}`)
    const found = this.entries.filter(
      (entry) => entry.nsp === nsp && entry.worker !== from && wanted.includes(entry.what),
    )
    return [...new Set(found.map((entry) => entry.worker))].sort()
  }
}

test('packets go to those whom a naive model names, whatever was joined, left, admitted, or died', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { rooms, peers, enter, switchboard, deliveries } = office(WORKERS)
      const model = new Model()
      for (const one of steps) {
        const peer = peers[one.worker] as Peer
        if (one.do === 'die') {
          model.clear(one.worker)
          rooms.clear(peer)
          peer.leave()
          peers[one.worker] = enter(`w-${one.worker}`)
          continue
        }
        const { nsp } = one
        const attached = model.attached(one.worker, nsp)
        switch (one.do) {
          case 'attach':
            rooms.attach(peer, nsp)
            model.add(one.worker, nsp, 'server')
            break
          case 'detach':
            rooms.detach(peer, nsp)
            model.clear(one.worker, nsp)
            break
          case 'hold':
            rooms.hold(peer, nsp, true)
            if (attached) model.add(one.worker, nsp, 'socket')
            break
          case 'release':
            rooms.hold(peer, nsp, false)
            model.remove(one.worker, nsp, 'socket')
            break
          case 'join':
            rooms.join(peer, nsp, one.rooms)
            if (attached) for (const name of one.rooms) model.add(one.worker, nsp, `room ${name}`)
            break
          case 'leave':
            rooms.leave(peer, nsp, one.rooms)
            for (const name of one.rooms) model.remove(one.worker, nsp, `room ${name}`)
            break
          case 'admit': {
            const found = rooms.admit(peer, nsp, one.to, one.rooms).map((target) => peers.indexOf(target))
            const targets = model.targets(one.worker, nsp, one.to ?? 'sockets')
            assert.equal(found.sort(), targets)
            for (const target of targets) for (const name of one.rooms) model.add(target, nsp, `room ${name}`)
            break
          }
          case 'send': {
            deliveries.length = 0
            switchboard.receive(peer, { text: MARKER + packet(nsp, one.to), attachments: [] })
            const found = deliveries.map(({ to }) => peers.indexOf(to)).sort()
            assert.equal(found, model.targets(one.worker, nsp, one.to))
            break
          }
        }
      }
    }),
    { numRuns: 2000 },
  )
})

test('a run of packets to the same rooms is one slice, and so is a run of different rooms of one worker', () => {
  const { rooms, peers, switchboard, deliveries } = office(3)
  const [a, b, c] = peers as [Peer, Peer, Peer]
  for (const peer of [a, b, c]) rooms.attach(peer, '/')
  rooms.join(b, '/', ['r', 's'])
  rooms.join(c, '/', ['t', 'both'])
  rooms.join(b, '/', ['both'])
  const run = packet('/', ['r'], 'one') + packet('/', ['r'], 'two') + packet('/', ['s'], 'three')
  const other = packet('/', ['t'], 'four') + packet('/', ['t', 'nobody'], 'five')
  const both = packet('/', ['both']) + packet('/', ['both'])
  switchboard.receive(a, { text: MARKER + run + other + both, attachments: [] })
  assert.equal(
    deliveries.map(({ to, frames }) => [peers.indexOf(to), frames]),
    [
      [1, run],
      [2, other],
      [2, both],
      [1, both],
    ],
  )
})

test('events and packets beside each other are told apart, and attachments stay with their frames', () => {
  const { rooms, peers, switchboard, deliveries } = office(2)
  const [a, b] = peers as [Peer, Peer]
  rooms.attach(b, '/')
  rooms.join(b, '/', ['r'])
  const bytes = [new Uint8Array(1), new Uint8Array(2)]
  const attached = packet('/', ['r'], '', 0x80)
  const event = `${eventHeader(0, eventHead(b.place.address, 'e'), 1)}x`
  const nobody = packet('/', ['x'], '', 0x80)
  switchboard.receive(a, { text: MARKER + attached + event + nobody + event, attachments: bytes })
  assert.equal(
    deliveries.map(({ frames, attached }) => [frames, attached]),
    [
      [attached, 1],
      [event, 0],
      [event, 0],
    ],
  )
})

test('who asks is told whom; answers go to one incarnation alone, and nowhere when it is gone', () => {
  const { rooms, peers, switchboard, deliveries, asked } = office(3)
  const [a, b, c] = peers as [Peer, Peer, Peer]
  for (const peer of [a, b, c]) rooms.attach(peer, '/')
  switchboard.receive(a, { text: MARKER + packet('/', 'servers', '?', ASKING, 7), attachments: [] })
  assert.equal(
    asked.map(({ from, call, to }) => [from === a, call, to.map(({ address }) => address)]),
    [[true, 7, [b.address, c.address]]],
  )
  deliveries.length = 0
  const answer = `${callHeader(answerKind(true), a.address, 7, 2)}42`
  switchboard.receive(b, { text: MARKER + answer, attachments: [] })
  assert.equal(
    deliveries.map(({ to, frames }) => [to === a, frames]),
    [[true, answer]],
  )
  switchboard.receive(b, { text: MARKER + callHeader(answerKind(true), 999, 7, 0), attachments: [] })
  assert.is(deliveries.length, 1)
})

test('only who was asked is heard, up to its last answer; who gives a question up, leaves or is gone blames nobody', () => {
  const { rooms, peers, switchboard, deliveries, asked } = office(4)
  const [a, b, c, thief] = peers as [Peer, Peer, Peer, Peer]
  for (const peer of [a, b, c]) rooms.attach(peer, '/')
  const send = (from: Peer, text: string) => switchboard.receive(from, { text: MARKER + text, attachments: [] })
  const answer = (from: Peer, to: Peer, call: number, done: boolean) =>
    send(from, callHeader(answerKind(done), to.address, call, 0))
  /** Who has been heard, and the offences of all. */
  const heard = () => [
    deliveries.splice(0).map(({ to }) => peers.indexOf(to)),
    peers.map(({ protocolErrors }) => protocolErrors),
  ]
  send(a, packet('/', 'servers', '?', ASKING, 7))
  heard()
  answer(thief, a, 7, true)
  answer(b, a, 8, true)
  assert.equal(heard(), [[], [0, 1, 0, 1]])
  answer(b, a, 7, false)
  answer(b, a, 7, true)
  answer(b, a, 7, true)
  assert.equal(heard(), [
    [0, 0],
    [0, 2, 0, 1],
  ])
  // Its number is taken until all have answered.
  send(a, packet('/', 'servers', '?', ASKING, 7))
  assert.equal(heard(), [[], [1, 2, 0, 1]])
  assert.is(asked.length, 1)
  c.left = true
  rooms.clear(c)
  assert.is(rooms.questions.open, 0)
  answer(c, a, 7, true)
  assert.equal(heard(), [[], [1, 2, 0, 1]])

  send(a, packet('/', 'servers', '?', ASKING, 7))
  a.left = true
  rooms.clear(a)
  assert.is(rooms.questions.open, 0)
  heard()
  answer(b, a, 7, true)
  assert.equal(heard(), [[], [1, 2, 0, 1]])
})

test('of too many questions the oldest are forgotten: late answers are dropped, and not taken for forged ones', () => {
  const { rooms, peers, switchboard, deliveries } = office(3)
  const [a, b, thief] = peers as [Peer, Peer, Peer]
  for (const peer of [a, b]) rooms.attach(peer, '/')
  const send = (from: Peer, text: string) => switchboard.receive(from, { text: MARKER + text, attachments: [] })
  for (let call = 0; call <= MAX_QUESTIONS; call++) send(a, packet('/', 'servers', '?', ASKING, call))
  assert.is(rooms.questions.open, MAX_QUESTIONS)
  deliveries.length = 0
  for (let call = 0; call <= MAX_QUESTIONS; call++) send(b, callHeader(answerKind(true), a.address, call, 0))
  assert.is(deliveries.length, MAX_QUESTIONS)
  assert.is(b.protocolErrors, 0)
  assert.is(rooms.questions.open, 0)
  send(a, packet('/', 'servers', '?', ASKING, 50))
  send(thief, callHeader(answerKind(true), a.address, 50, 0))
  assert.is(thief.protocolErrors, 1)
})

test('what is not well formed is refused, and reads nothing beyond its frame', () => {
  const { peers, switchboard } = office(1)
  const whole = packet('/', ['room'], 'body', KEPT)
  // A namespace that is longer than the frame.
  const broken = `${whole.slice(0, 13)}${uint32(256)}${whole.slice(17)}`
  assert.throws(() => switchboard.receive(peers[0] as Peer, { text: MARKER + broken, attachments: [] }), /malformed/)
  // A room that is longer than the list of rooms ends with the list.
  const lying = whole.replace('\0\0\0\x04room', '\0\0\x01\0room')
  assert.equal(packetRooms(lying + whole, 0), ['room'])
})

test.run()
