import assert from 'node:assert/strict'
import { test } from 'uvu'
import { Fifo } from '#lib/relay/fifo.js'
import type { Peer } from '#lib/relay/peer.js'
import { RecoveryLog } from '#lib/relay/recovery-log.js'
import { Address, RECOVERABLE } from '#lib/wire/frame.js'
import { packetHeader, Scope, writeRecovery, writeRooms } from '#lib/wire/packet.js'
import { eventFrame, manyFrame, requestFrame } from '../wire/frames.js'
import { heap } from '../wire/heap.js'
import { FakeHub, Outgoing } from './fakes.js'

/** So many batches of 64 KiB are 64 MiB. */
const COUNT = 1000
const FILLER = 'x'.repeat(65_536)
/** V8 copies a shorter slice. */
const LONG_NAME = 'a name of more than twelve characters'

/** A batch as it comes in from a channel: flat, and nobody else's. Most of it goes nowhere. */
function large(hub: FakeHub, from: Peer, frame: string): void {
  const text = new Outgoing().event(from.place.address, 'nobody listens to it', FILLER).add(frame).text
  hub.send(from, { text: Buffer.from(text, 'latin1').toString('latin1'), attachments: [] } as unknown as Outgoing)
}

async function growth(build: () => void): Promise<number> {
  const before = await heap()
  build()
  return (await heap()) - before
}

const LIMIT = 6 << 20
const say = (used: number) => `${(used / 2 ** 20).toFixed(1)} MiB`

test('what is held for a member that starts does not keep the batches alive that brought it', async () => {
  const hub = new FakeHub()
  const sender = hub.member('sender')
  const other = hub.place('other')
  const used = await growth(() => {
    for (let i = 0; i < COUNT; i++) large(hub, sender, eventFrame(0, other.address, LONG_NAME, String(i)))
  })
  assert.equal(other.hold.messages, COUNT)
  assert.ok(used < LIMIT, say(used))
})

test('frames of however many events share a route', () => {
  const hub = new FakeHub()
  const sender = hub.member('sender')
  for (let count = 1; count <= 255; count++) {
    hub.send(sender, new Outgoing().add(manyFrame(0, Address.Others, 'news', count, '')))
  }
  assert.equal(sender.routes.size, 1)
})

test('routes that are remembered do not keep the batches alive that they were first seen in', async () => {
  const hub = new FakeHub()
  const sender = hub.member('sender')
  const used = await growth(() => {
    for (let i = 0; i < COUNT; i++) large(hub, sender, eventFrame(0, Address.Others, LONG_NAME + i, ''))
  })
  assert.equal(sender.routes.size, COUNT + 1)
  assert.ok(used < LIMIT, say(used))
})

for (const [what, concurrency] of [
  ['that somebody works on', null],
  ['that wait for a handler with room', 1],
] as const) {
  test(`tasks ${what} do not keep the batches alive that brought them`, async () => {
    const hub = new FakeHub()
    const caller = hub.member('caller')
    const server = hub.member('server')
    hub.send(server, new Outgoing().control({ t: 'handle', name: LONG_NAME, concurrency }))
    const used = await growth(() => {
      for (let i = 0; i < COUNT; i++) {
        large(hub, caller, requestFrame(0, server.place.address, i, 0, 0, LONG_NAME, '1'))
      }
    })
    const stats = hub.exchange.stats().find(({ id }) => id === 'server')
    assert.equal((stats?.runningTasks ?? 0) + (stats?.queuedTasks ?? 0), COUNT)
    assert.ok(used < LIMIT, say(used))
  })
}

test('neither do tasks whose names are all different', async () => {
  const hub = new FakeHub()
  const caller = hub.member('caller')
  const server = hub.member('server')
  const name = (i: number) => `${i} ${LONG_NAME}`
  for (let i = 0; i < COUNT; i++) {
    hub.send(server, new Outgoing().control({ t: 'handle', name: name(i), concurrency: null }))
  }
  const used = await growth(() => {
    for (let i = 0; i < COUNT; i++) large(hub, caller, requestFrame(0, Address.Anybody, i, 0, 0, name(i), '1'))
  })
  assert.equal(hub.exchange.stats().find(({ id }) => id === 'server')?.runningTasks, COUNT)
  assert.ok(used < LIMIT, say(used))
})

test('rooms whose packets are forgotten do not keep these alive, nor does a queue what has gone through it', async () => {
  const hub = { address: 16 }
  const log = new RecoveryLog<{ address: number }>({ maxBytes: 1 << 30, maxPackets: 1, maxSessions: 1 }, () => 0)
  log.attach(hub, '/', { session: 1, packets: 1 })
  const fifo = new Fifo<number>()
  fifo.push(0)
  const used = await growth(() => {
    for (let i = 0; i < COUNT; i++) {
      const rooms = writeRooms([LONG_NAME + i])
      const header = packetHeader(RECOVERABLE, 0, Scope.Rooms, '/', rooms, FILLER.length, writeRecovery(i, []))
      log.record(hub, header + FILLER, 0, header.length + FILLER.length, [])
    }
    for (let i = 0; i < 2_000_000; i++) {
      fifo.push(i)
      fifo.shift()
    }
  })
  assert.deepEqual([log.stats().packets, fifo.size], [1, 1])
  assert.ok(log.stats().bytes > COUNT * LONG_NAME.length)
  assert.ok(used < LIMIT, say(used))
})

test.run()
