import assert from 'node:assert/strict'
import { test } from 'uvu'
import { Directory } from '#lib/relay/directory.js'
import { RecoveryLog } from '#lib/relay/recovery-log.js'
import { Address, ASKING, ATTACHED, callHeader, Kind, RECOVERABLE, readKind } from '#lib/wire/frame.js'
import { answerKind, packetHeader, Scope, writeRecovery } from '#lib/wire/packet.js'
import { until } from '../conditions.js'
import { FakeTransport } from '../wire/fake-transport.js'
import { eventFrame, requestFrame } from '../wire/frames.js'
import { heap } from '../wire/heap.js'
import { FakeHub, OPTIONS, Outgoing } from './fakes.js'

// What bounds the memory of the hub, without any process. FakeHub's transports take two batches, and then nothing before
// `arrived` is called: links fill up.

const text = 'x'.repeat(1000)
const MIB = 1 << 20

const links = (hub: FakeHub, id: string) => hub.exchange.stats().find((link) => link.id === id)

/** What the hub told that member of queues at their bound. */
async function slow(hub: FakeHub, peer: Parameters<FakeHub['told']>[0]): Promise<string[]> {
  const told = await hub.told(peer)
  return told.flatMap((message) =>
    message.t === 'lifecycle' && message.event === 'slow'
      ? [`${message.member.id} ${(message.info as { queue: string }).queue}`]
      : [],
  )
}

test('an answer to a caller whose queue is full is replaced by a refusal, and the server has room again', async () => {
  const hub = new FakeHub({ maxQueueBytes: 10_000 })
  const [caller, server] = [hub.member('caller'), hub.member('server')]
  hub.send(server, new Outgoing().control({ t: 'handle', name: 'work', concurrency: null }))
  const count = 200
  for (let call = 0; call < count; call++) {
    hub.send(caller, new Outgoing().add(requestFrame(0, server.place.address, call, 0, 0, 'work', '')))
  }
  await hub.arrived(server)
  for (let call = 0; call < count; call++) {
    hub.send(server, new Outgoing().add(callHeader(Kind.Response, caller.address, call, text.length) + text))
    // So that each is a batch of its own: two are on their way, the others wait.
    await undefined
  }
  const { refused = 0, queuedBytes = 0 } = links(hub, 'caller') ?? {}
  assert.ok(refused > count / 2 && refused < count, `${refused} refused`)
  assert.ok(queuedBytes < 10_000 + refused * 400 + 5000, `${queuedBytes} bytes queued`)
  assert.equal(links(hub, 'server')?.runningTasks, 0)
  assert.equal(links(hub, 'server')?.protocolErrors, 0)
  // Each is answered, one way or the other.
  const kinds = (await hub.messages(caller)).map((message) => readKind(message.text, 0))
  assert.equal(kinds.filter((kind) => kind === Kind.Refusal).length, refused)
  assert.equal(kinds.filter((kind) => kind === Kind.Response).length, count - refused)
  assert.equal(hub.exchange.dispatcher.unsettled, 0)
})

test("answers to Socket.IO's questions do not fill a queue beyond its bound", async () => {
  const hub = new FakeHub({ maxQueueBytes: 10_000 })
  const [asker, other] = [hub.member('asker'), hub.member('other')]
  for (const peer of [asker, other]) hub.send(peer, new Outgoing().control({ t: 'attach', nsp: '/' }))
  for (let call = 1; call <= 200; call++) {
    hub.send(asker, new Outgoing().add(packetHeader(ASKING, call, Scope.Servers, '/', '', 0)))
  }
  await hub.arrived(asker)
  for (let call = 1; call <= 200; call++) {
    hub.send(other, new Outgoing().add(callHeader(answerKind(true), asker.address, call, text.length) + text))
    await undefined
  }
  const { droppedEvents = 0, queuedBytes = 0 } = links(hub, 'asker') ?? {}
  assert.ok(queuedBytes < 15_000, `${queuedBytes} bytes queued`)
  assert.ok(droppedEvents > 100, `${droppedEvents} dropped`)
  assert.equal((await hub.messages(asker)).length, 200 - droppedEvents)
})

test('what is held is told of once, when it is full, and again after it has been let go', async () => {
  const hub = new FakeHub({ maxHeldBytes: 20_000 })
  const [sender, other] = [hub.member('sender'), hub.place('other')]
  hub.place('primary')
  const fill = () => {
    for (let i = 0; i < 50; i++) hub.send(sender, new Outgoing().event(other.address, 'news', text))
  }
  fill()
  assert.deepEqual(await slow(hub, sender), ['other held'])
  fill()
  assert.deepEqual(await slow(hub, sender), [])
  const peer = hub.enter(other)
  hub.send(peer, new Outgoing().control({ t: 'ready' }))
  hub.exchange.leave(peer, { code: 1, signal: null })
  hub.exchange.update(other, 'restarting', undefined)
  other.known = undefined
  fill()
  assert.deepEqual(await slow(hub, sender), ['other held'])
})

test('a task that is refused for what is held is told of and counted, too', async () => {
  const hub = new FakeHub({ maxHeldBytes: 1000 })
  const [caller, other] = [hub.member('caller'), hub.place('other')]
  for (let call = 0; call < 5; call++) {
    hub.send(caller, new Outgoing().add(requestFrame(0, other.address, call, 0, 0, 'work', text)))
  }
  assert.equal(links(hub, 'other')?.refused, 4)
  assert.deepEqual(await slow(hub, caller), ['other held'])
})

test('no more tasks run in a handler than calls may wait; the next ones wait in the hub, then are refused', async () => {
  const hub = new FakeHub({ maxPendingCalls: 5, maxQueuedTasks: 3 })
  hub.place('primary')
  const [caller, server] = [hub.member('caller'), hub.member('server')]
  hub.send(server, new Outgoing().control({ t: 'handle', name: 'work', concurrency: null }))
  const ask = (call: number) => {
    hub.send(caller, new Outgoing().add(requestFrame(0, Address.Anybody, call, 0, 0, 'work', '')))
  }
  for (let call = 0; call < 10; call++) ask(call)
  assert.equal(links(hub, 'server')?.runningTasks, 5)
  const { queued, refused } = hub.exchange.taskStats()
  assert.deepEqual({ queued, refused }, { queued: 3, refused: 2 })
  assert.deepEqual(await slow(hub, caller), ['primary tasks'])
  ask(10)
  assert.deepEqual(await slow(hub, caller), [])
  // Half of them are gone: when it is full again, that is news.
  const answer = (call: number) =>
    hub.send(server, new Outgoing().add(callHeader(Kind.Response, caller.address, call, 0)))
  for (const call of [0, 1, 2]) answer(call)
  for (let call = 11; call < 15; call++) ask(call)
  assert.deepEqual(await slow(hub, caller), ['primary tasks'])
})

test('recovery tells once that it forgets packets before their time', () => {
  const told: number[] = []
  let now = 0
  const log = new RecoveryLog<{ address: number }>(
    { maxBytes: 1e9, maxPackets: 10, maxSessions: 10 },
    () => now,
    (bytes) => told.push(bytes),
  )
  const home = { address: 16 }
  log.attach(home, '/', { session: 1000, packets: 1000 })
  const frame = `${packetHeader(RECOVERABLE, 0, Scope.Sockets, '/', '', 4, writeRecovery(1, []))}body`
  const fill = () => {
    for (let i = 0; i < 20; i++) log.record(home, frame, 0, frame.length, [])
  }
  fill()
  log.sweep()
  fill()
  assert.equal(told.length, 1)
  assert.ok((told[0] as number) > 0)
  now = 5000
  log.sweep()
  fill()
  assert.equal(told.length, 2)
})

test('a member that takes what is below its mark, however slowly, is not slow; one that takes nothing is', async () => {
  const slowAfter = 1000
  const hooks = { onPressure, onSlow, onHeld: onSlow, onOffence: () => {} }
  const directory = new Directory({ ...OPTIONS, slowAfter, highWaterMark: MIB, ...hooks })
  const place = directory.addPlace('other', undefined)
  const transport = new FakeTransport()
  const peer = directory.enter(place, 1, transport)
  peer.ready = true
  // Each fills a batch: two are on their way, the others wait.
  const large = eventFrame(0, place.address, 'e', 'x'.repeat(70_000))
  for (let i = 0; i < 18; i++) peer.deliver(peer, large, [])
  assert.ok(peer.over && peer.queuedBytes > MIB)
  transport.acknowledge()
  transport.acknowledge()
  // Still more than half the mark, so producers wait.
  const start = performance.now()
  for (let step = 1; step <= 6; step++) {
    await until(() => performance.now() - start > (step * slowAfter) / 4, 'its time comes')
    transport.acknowledge()
    assert.ok(peer.over && peer.queuedBytes <= MIB, `step ${step}: ${peer.queuedBytes} bytes`)
  }
  assert.equal(peer.droppedEvents, 0)
  const stopped = performance.now()
  await until(() => peer.slow, 'it is slow')
  assert.ok(performance.now() - stopped > slowAfter / 2)
  assert.equal(peer.over, false)
})

const onPressure = () => {}
const onSlow = () => {}

/** Of real memory, and not only of what is counted. */
test('small messages that are held take no more memory than they may', async () => {
  const hub = new FakeHub({ maxHeldBytes: 4 * MIB })
  const [sender, other] = [hub.member('sender'), hub.place('other')]
  const before = await heap()
  for (let i = 0; i < 100_000; i++) {
    hub.send(sender, new Outgoing().add(eventFrame(0, other.address, 'e', String(i % 10))))
  }
  const grown = (await heap()) - before
  assert.ok((links(hub, 'other')?.droppedEvents ?? 0) > 50_000)
  assert.ok(grown < 5 * MIB, `${(grown / MIB).toFixed(1)} MiB`)
})

test('nor do small attachments that wait for a link', async () => {
  const hub = new FakeHub({ maxQueueBytes: 4 * MIB, highWaterMark: MIB })
  const [sender, other] = [hub.member('sender'), hub.member('other')]
  hub.send(other, new Outgoing().control({ t: 'handle', name: 'work', concurrency: null }))
  const before = await heap()
  for (let call = 0; call < 50_000; call++) {
    const frame = requestFrame(ATTACHED, other.place.address, call, 0, 0, 'work', '')
    hub.send(sender, new Outgoing().add(frame, new Uint8Array(16)))
    if (call % 100 === 0) await hub.arrived(sender)
  }
  const grown = (await heap()) - before
  const refused = links(hub, 'other')?.refused ?? 0
  assert.ok(refused > 10_000, `${refused} refused`)
  // The hub's note of each accepted call is some of it.
  assert.ok(grown < 4 * MIB + (50_000 - refused) * 250, `${(grown / MIB).toFixed(1)} MiB`)
})

test.run()
