import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Fifo } from '#lib/relay/fifo.js'
import { type RecoveryLimits, RecoveryLog } from '#lib/relay/recovery-log.js'
import { ATTACHED, RECOVERABLE } from '#lib/wire/frame.js'
import { hubSequence, packetBody, packetHeader, Scope, writeRecovery, writeRooms } from '#lib/wire/packet.js'
import { readPosition, writePosition } from '#lib/wire/position.js'

const AMPLE: RecoveryLimits = { maxBytes: 1e9, maxPackets: 1e6, maxSessions: 1e6 }
const TIMES = { session: 1000, packets: 1500 }
const NSP = '/'

interface Member {
  readonly address: number
}

/** A log with a clock of its own, and members that deliver at once what it takes. */
class Bench {
  now = 0
  readonly log: RecoveryLog<Member>
  readonly members: Member[] = [{ address: 16 }, { address: 17 }, { address: 18 }]
  readonly #locals = new Map<Member, number>()

  constructor(limits: Partial<RecoveryLimits> = {}) {
    this.log = new RecoveryLog({ ...AMPLE, ...limits }, () => this.now)
    for (const member of this.members) this.log.attach(member, NSP, TIMES)
  }

  member(index: number): Member {
    return this.members[index] as Member
  }

  /** Where the member is when it has delivered all that the hub has. */
  at(index: number): string {
    const member = this.member(index)
    return writePosition({
      origin: member.address,
      hub: this.log.sequence,
      local: this.#locals.get(member) ?? 0,
    })
  }

  send(
    index: number,
    rooms: string[],
    body: string,
    except: string[] = [],
    bytes?: Uint8Array,
    nsp = NSP,
  ): string | undefined {
    const member = this.member(index)
    const local = (this.#locals.get(member) ?? 0) + 1
    this.#locals.set(member, local)
    const scope = rooms.length > 0 ? Scope.Rooms : Scope.Sockets
    const flags = bytes ? RECOVERABLE | ATTACHED : RECOVERABLE
    const recovery = writeRecovery(local, except)
    const frame = packetHeader(flags, 0, scope, nsp, writeRooms(rooms), body.length, recovery) + body
    // Somewhere in a batch.
    return this.log.record(member, `before${frame}after`, 6, frame.length, bytes ? [bytes] : [])?.frame
  }

  open(index: number, pid: string, rooms: string[] = []): void {
    this.log.open(this.member(index), NSP, { pid, sid: `s-${pid}`, at: this.at(index), rooms, data: { text: '[]' } })
  }

  move(index: number, pid: string, change: { join?: string[]; leave?: string[] }): void {
    this.log.moved(this.member(index), NSP, { pid, at: this.at(index), ...change })
  }

  lose(index: number, pid: string): void {
    this.log.lost(this.member(index), NSP, pid, { text: '[]' })
  }

  /** The bodies that a client missed; undefined when it has to connect anew. */
  restore(index: number, pid: string, offset: string): string[] | undefined {
    const restored = this.log.restore(this.member(index), NSP, pid, offset)
    return restored?.missed.map(({ frame }) => frame.slice(packetBody(frame, 0)))
  }
}

test('a client gets what it had a right to, of all members, in the order of the hub', () => {
  const bench = new Bench()
  bench.open(0, 'p', ['r'])
  bench.send(0, [], 'seen')
  const offset = bench.at(0)
  bench.send(0, ['r'], '1')
  bench.send(1, ['r', 's'], '2')
  bench.send(1, ['s'], 'no')
  bench.send(1, [], 'no', ['r'])
  bench.move(0, 'p', { join: ['s'], leave: ['r'] })
  bench.send(1, ['s'], '3')
  bench.send(1, ['r'], 'no')
  bench.lose(0, 'p')
  bench.send(2, [], '4')
  assert.equal(bench.restore(2, 'p', offset), ['1', '2', '3', '4'])
})

test('a packet goes on with its place in the order, and is kept in memory of its own', () => {
  const bench = new Bench()
  bench.open(0, 'p')
  const bytes = new Uint8Array(new ArrayBuffer(1000), 10, 5)
  const frame = bench.send(1, [], 'body', [], bytes) ?? ''
  assert.is(hubSequence(frame, 0), 1)
  assert.is(hubSequence(bench.send(1, [], 'body') ?? '', 0), 2)
  bench.lose(0, 'p')
  const restored = bench.log.restore(bench.member(0), NSP, 'p', writePosition({ origin: 16, hub: 0, local: 0 }))
  assert.is(restored?.missed[0]?.attachments[0]?.buffer.byteLength, 5)
  assert.is(restored?.missed[0]?.frame, frame)
})

test('where nobody has recovery on nothing is kept', () => {
  const bench = new Bench()
  for (const member of bench.members) bench.log.detach(member, NSP)
  assert.is(bench.send(0, [], 'x'), undefined)
  assert.is(bench.log.stats().packets, 0)
  bench.log.sweep()
  assert.not(bench.log.active)
})

test('a session is its worker’s alone, and is taken once; an attempt that failed gives it back', () => {
  const bench = new Bench()
  bench.open(0, 'p', ['r'])
  const offset = bench.at(0)
  assert.is(bench.restore(1, 'p', offset), undefined, 'its socket is still there')
  bench.lose(1, 'p')
  assert.is(bench.restore(1, 'p', offset), undefined, 'another cannot lose it')
  bench.now = 10
  bench.lose(0, 'p')
  bench.send(0, ['r'], '1')
  assert.equal(bench.restore(1, 'p', offset), ['1'])
  assert.is(bench.restore(2, 'p', offset), undefined, 'it is taken')
  bench.now = 1010
  bench.log.lost(bench.member(1), NSP, 'p', undefined)
  assert.equal(bench.restore(2, 'p', offset), ['1'])
  bench.log.lost(bench.member(2), NSP, 'p', undefined)
  // The time that it is away goes on.
  bench.now = 1011
  assert.is(bench.restore(2, 'p', offset), undefined)
  assert.is(bench.log.stats().expiredSessions, 1)
})

test('when a member is gone its clients are away, and their time begins', () => {
  const bench = new Bench()
  bench.open(0, 'p', ['r'])
  const offset = bench.at(0)
  bench.now = 5000
  bench.log.detach(bench.member(0), NSP)
  bench.send(1, ['r'], '1')
  bench.now = 6000
  assert.equal(bench.restore(1, 'p', offset), ['1'])
})

test('packets and sessions that are too old are forgotten, and with them the namespace', () => {
  const bench = new Bench()
  bench.open(0, 'p')
  bench.open(0, 'q')
  bench.lose(0, 'p')
  bench.send(0, [], 'x')
  bench.now = 1001
  bench.log.sweep()
  assert.equal([bench.log.stats().packets, bench.log.stats().sessions, bench.log.stats().away], [1, 1, 0])
  bench.now = 1501
  bench.log.sweep()
  assert.is(bench.log.stats().packets, 0)
  assert.is(bench.log.stats().droppedPackets, 0)
  bench.log.end(bench.member(0), NSP, 'q')
  assert.is(bench.log.stats().bytes, 0)
  for (const member of bench.members) bench.log.detach(member, NSP)
  bench.log.sweep()
  assert.not(bench.log.active)
})

test('what was forgotten matters only to those who have not got it', () => {
  const bench = new Bench({ maxPackets: 2 })
  for (const pid of ['early', 'late', 'own']) bench.open(0, pid)
  const early = bench.at(0)
  bench.send(1, [], '1')
  const late = bench.at(0)
  bench.send(0, [], '2')
  // One that heard of nothing but its own worker since.
  const own = writePosition({ origin: 16, hub: 1, local: 1 })
  bench.send(1, [], '3')
  bench.send(1, [], '4')
  for (const pid of ['early', 'late', 'own']) bench.lose(0, pid)
  bench.open(0, 'new')
  bench.lose(0, 'new')
  assert.is(bench.restore(1, 'early', early), undefined)
  assert.is(bench.restore(1, 'late', late), undefined)
  assert.equal(bench.restore(1, 'own', own), ['3', '4'])
  // A new session goes on from the old one's last word: nothing from before was for it.
  assert.equal(bench.restore(1, 'new', early), [])
  assert.is(bench.log.stats().droppedPackets, 2)
  assert.is(bench.log.stats().refused, 2)
})

test('a client that was sent nothing for long recovers, whatever was sent to others', () => {
  const bench = new Bench({ maxPackets: 2 })
  bench.open(0, 'p', ['r', 'never'])
  bench.send(1, ['r'], 'seen')
  const offset = bench.at(0)
  for (let i = 0; i < 5; i++) bench.send(1, ['s', 't'], 'other')
  // What was sent to rooms before it came, and behind its leave, does not matter either.
  bench.move(0, 'p', { join: ['s'] })
  bench.move(0, 'p', { leave: ['s'] })
  for (let i = 0; i < 5; i++) bench.send(1, ['s'], 'other')
  bench.move(0, 'p', { join: ['t'] })
  bench.lose(0, 'p')
  for (let i = 0; i < 5; i++) bench.send(1, ['u'], 'other')
  bench.send(1, ['r'], '1')
  assert.equal(bench.restore(1, 'p', offset), ['1'])
  // Where one of its own is forgotten, nobody can say what it missed.
  bench.lose(1, 'p')
  bench.send(1, ['t'], '2')
  for (let i = 0; i < 3; i++) bench.send(1, ['u'], 'other')
  assert.is(bench.restore(1, 'p', offset), undefined)
})

test('what was sent to a room that the client has left is not forgotten unnoticed', () => {
  for (const forgetful of [false, true]) {
    const bench = new Bench({ maxPackets: 2 })
    bench.open(0, 'p', ['r', 's'])
    const offset = bench.at(0)
    bench.send(1, ['r'], 'missed')
    bench.move(0, 'p', { leave: ['r'] })
    for (let i = 0; i < 5; i++) bench.send(1, ['u'], 'other')
    // Now what it has left is forgotten, too, or not yet.
    if (forgetful) bench.move(0, 'p', { leave: ['s'] })
    bench.lose(0, 'p')
    assert.is(bench.restore(1, 'p', offset), undefined, String(forgetful))
  }
})

test('of rooms that nothing is kept of any more, so many are remembered as take an eighth of the bytes', () => {
  const bench = new Bench({ maxPackets: 1, maxBytes: 140_000 })
  for (const pid of ['p', 'q']) bench.open(0, pid, [`room-${pid}`, 'empty'])
  bench.send(1, ['room-p'], 'seen')
  bench.send(1, ['room-q'], 'seen')
  const offset = bench.at(0)
  const forget = (from: number) => {
    for (let i = 0; i < 20; i++) bench.send(1, [`room-${from + i}`], 'other')
  }
  forget(0)
  for (const pid of ['p', 'q']) bench.lose(0, pid)
  assert.equal(bench.restore(1, 'p', offset), [])
  forget(20)
  assert.ok(bench.log.stats().bytes < 20_000)
  // Nobody knows any more what was sent to its rooms.
  assert.is(bench.restore(1, 'q', offset), undefined)
  // Of a room that is spoken to again, it is not forgotten that something is.
  bench.open(0, 'new', ['room-0'])
  const start = bench.at(0)
  bench.send(1, ['room-0'], '1')
  bench.lose(0, 'new')
  assert.equal(bench.restore(1, 'new', start), ['1'])
})

test('what a client comes back for takes no longer for all that others were sent', () => {
  const bench = new Bench()
  bench.open(0, 'p', ['r'])
  const offset = bench.at(0)
  for (let i = 0; i < 100_000; i++) bench.send(1, [`room-${i % 1000}`], 'other')
  bench.send(1, ['r'], '1')
  bench.lose(0, 'p')
  let looked = 0
  // What is looked at more closely than by its place in the order.
  const { charCodeAt } = String.prototype
  String.prototype.charCodeAt = function (at) {
    looked++
    return charCodeAt.call(this, at)
  }
  try {
    assert.equal(bench.restore(1, 'p', offset), ['1'])
  } finally {
    String.prototype.charCodeAt = charCodeAt
  }
  assert.ok(looked < 200, String(looked))
})

test('a member says how far it is in its own order alone', () => {
  const bench = new Bench()
  const at = writePosition({ origin: bench.member(1).address, hub: 0, local: 9 })
  bench.log.open(bench.member(0), NSP, { pid: 'p', sid: 's', at, rooms: [], data: { text: '[]' } })
  bench.send(1, [], '1')
  bench.lose(0, 'p')
  assert.equal(bench.restore(0, 'p', writePosition({ origin: 16, hub: 0, local: 0 })), ['1'])
})

test('offsets that are none lead to a new connection', () => {
  const bench = new Bench()
  for (const offset of ['', 'x', '1.2', '1.2.3.4', '1.2.-3', 'g.ü.1', '9'.repeat(40), '1.2.3\n']) {
    bench.open(0, offset)
    bench.lose(0, offset)
    assert.is(bench.restore(0, offset, offset), undefined, offset)
  }
  assert.is(bench.log.stats().refused, 8)
  assert.is(bench.log.stats().sessions, 0)
})

test('sessions are bounded with the packets, and go after them', () => {
  const bench = new Bench({ maxBytes: 3000, maxSessions: 3 })
  bench.open(0, 'live')
  bench.send(0, [], 'x'.repeat(500))
  bench.log.open(bench.member(0), NSP, {
    pid: 'big',
    sid: 's',
    at: bench.at(0),
    rooms: [],
    data: { text: 'x'.repeat(2000) },
  })
  assert.equal([bench.log.stats().packets, bench.log.stats().sessions], [0, 2])
  bench.log.lost(bench.member(0), NSP, 'big', { text: 'x'.repeat(2000) })
  bench.move(0, 'live', { join: ['r'.repeat(500)] })
  assert.equal([bench.log.stats().sessions, bench.log.stats().away], [1, 0])
  bench.move(0, 'live', { join: ['s'.repeat(3000)] })
  assert.equal([bench.log.stats().sessions, bench.log.stats().droppedSessions, bench.log.stats().bytes], [0, 2, 0])
  for (const pid of ['a', 'b', 'c', 'd']) {
    bench.open(0, pid)
    bench.lose(0, pid)
  }
  assert.equal([bench.log.stats().away, bench.log.stats().droppedSessions], [3, 3])
  assert.is(bench.restore(0, 'a', bench.at(0)), undefined)
  assert.equal(bench.restore(0, 'b', bench.at(0)), [])
})

test('a client that comes and goes in rooms for ever weighs no more for it', () => {
  const bench = new Bench()
  bench.open(0, 'p')
  const first = bench.at(0)
  let middle = first
  for (let i = 0; i < 2000; i++) {
    bench.move(0, 'p', { join: [`room-${i % 500}`] })
    bench.send(1, [`room-${i % 500}`], `${i}`)
    bench.move(0, 'p', { leave: [`room-${i % 500}`] })
    if (i === 1900) middle = bench.at(0)
  }
  const others = new Bench()
  others.open(0, 'q')
  for (let i = 0; i < 2000; i++) others.send(1, [`room-${i % 500}`], `${i}`)
  assert.ok(bench.log.stats().bytes - others.log.stats().bytes < 256 * 200)
  bench.lose(0, 'p')
  assert.equal(bench.restore(0, 'p', middle)?.length, 99)
  bench.lose(0, 'p')
  assert.is(bench.restore(0, 'p', first), undefined, 'where it was then is forgotten')
})

test('a session that is handed over again and again while others only are sent anything weighs no more for it', () => {
  const bench = new Bench()
  bench.log.attach(bench.member(0), '/other', TIMES)
  bench.open(0, 'p', ['room'])
  bench.send(1, ['room'], 'a')
  const handOver = (i: number) => {
    bench.send(0, [], 'x', [], undefined, '/other')
    bench.log.handOver(bench.member(i % 3), bench.member((i + 1) % 3), NSP, 'p')
    bench.now += 1501
    bench.log.sweep()
  }
  for (let i = 0; i < 3; i++) handOver(i)
  const { bytes } = bench.log.stats()
  for (let i = 3; i < 102; i++) handOver(i)
  assert.is(bench.log.stats().bytes, bytes)
  // It is as exact as ever in what is sent from now on.
  const offset = bench.at(0)
  bench.send(1, ['room'], 'b')
  bench.lose(0, 'p')
  bench.send(2, ['room'], 'c')
  assert.equal(bench.restore(1, 'p', offset), ['b', 'c'])
})

test('of whom it is forgotten where it was, nobody says that something was not for it', () => {
  const bench = new Bench()
  bench.open(0, 'p', ['x'])
  const offset = bench.at(0)
  bench.send(1, [], 'not for it', ['x'])
  bench.move(0, 'p', { leave: ['x'] })
  for (let i = 0; i < 300; i++) {
    bench.send(1, ['other'], 'other')
    bench.move(0, 'p', { join: ['y'] })
    bench.move(0, 'p', { leave: ['y'] })
  }
  bench.lose(0, 'p')
  assert.is(bench.restore(0, 'p', offset), undefined)
})

test('bytes are counted out as they were counted in', () => {
  const pid = fc.constantFrom('p', 'q', 'r')
  const member = fc.nat(2)
  const room = fc.constantFrom('a', 'b', 'c'.repeat(50))
  const step = fc.oneof(
    fc.record({ do: fc.constant('send' as const), member, room, body: fc.string({ maxLength: 200 }) }),
    fc.record({
      do: fc.constantFrom('open' as const, 'lose' as const, 'end' as const, 'restore' as const),
      member,
      pid,
    }),
    fc.record({ do: fc.constant('join' as const), member, pid, room }),
    fc.record({ do: fc.constant('leave' as const), member, pid, room }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.nat(600) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), fc.nat(5), (steps, maxPackets) => {
      const bench = new Bench({ maxPackets, maxBytes: 4000, maxSessions: 2 })
      for (const one of steps) {
        if (one.do === 'send') bench.send(one.member, [one.room], one.body)
        else if (one.do === 'open') bench.open(one.member, one.pid)
        else if (one.do === 'lose') bench.lose(one.member, one.pid)
        else if (one.do === 'end') bench.log.end(bench.member(one.member), NSP, one.pid)
        else if (one.do === 'restore') bench.restore(one.member, one.pid, bench.at(one.member))
        else if (one.do === 'wait') bench.now += one.ms
        else if ('room' in one) bench.move(one.member, one.pid, { [one.do]: [one.room] })
        const { bytes, packets, away } = bench.log.stats()
        assert.ok(bytes >= 0 && bytes <= 4000 && packets <= maxPackets && away <= 2)
      }
      bench.now += 1e6
      for (const member of bench.members) bench.log.detach(member, NSP)
      bench.now += 1e6
      bench.log.sweep()
      const { bytes, packets, sessions, away } = bench.log.stats()
      assert.equal({ bytes, packets, sessions, away }, { bytes: 0, packets: 0, sessions: 0, away: 0 })
      assert.not(bench.log.active)
    }),
    { numRuns: 1000 },
  )
})

test('positions read as they were written', () => {
  const count = fc.nat(2 ** 31 - 1).map((n) => n * 65_536)
  fc.assert(
    fc.property(fc.nat(0xffffff), count, count, (origin, hub, local) => {
      assert.equal(readPosition(writePosition({ origin, hub, local })), { origin, hub, local })
    }),
  )
})

test('a queue gives back what it was given, in order, also when much has gone through it', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -900, max: 1000 }), { maxLength: 30 }), (steps) => {
      const fifo = new Fifo<number>()
      let model: number[] = []
      let next = 0
      for (const step of steps) {
        for (let i = 0; i < step; i++) {
          fifo.push(next)
          model.push(next++)
        }
        for (let i = 0; i > step; i--) assert.is(fifo.shift(), model[-i])
        model = model.slice(Math.max(0, -step))
        assert.is(fifo.size, model.length)
        assert.is(fifo.first, model[0])
        const middle = next - Math.floor(model.length / 2)
        assert.equal(
          [...fifo.from((n) => n >= middle)],
          model.filter((n) => n >= middle),
        )
      }
    }),
  )
})

test.run()
