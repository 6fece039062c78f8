import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { test } from 'uvu'
import type { Place } from '#lib/relay/place.js'
import { Call, type Desk } from '#lib/tasks/call.js'
import { NumberTable } from '#lib/tasks/number-table.js'
import { TaskQueue } from '#lib/tasks/queue.js'
import { Address, ATTACHED, callFrame, Kind } from '#lib/wire/frame.js'
import { Model } from './model.js'
import { type Sent, World } from './world.js'

// How often each is drawn.
const KINDS: readonly [string, number][] = [
  ['request', 6],
  ['delegate', 8],
  ['burst', 3],
  ['answer', 10],
  ['cancel', 3],
  ['handle', 5],
  ['unhandle', 2],
  ['start', 3],
  ['ready', 5],
  ['exit', 2],
  ['stop', 1],
  ['forge', 1],
  ['late', 1],
]

const kind = fc.oneof(...KINDS.map(([arbitrary, weight]) => ({ arbitrary: fc.constant(arbitrary), weight })))
const number = fc.nat({ max: 60 })
const script = fc.array(fc.tuple(kind, number, number, number), { minLength: 1, maxLength: 80, size: 'max' })

test('whatever happens in whatever order, every call is answered once and nothing is left', () => {
  let refusals = 0
  fc.assert(
    fc.property(script, fc.constantFrom(2, 5, 1000), (actions, maxQueuedTasks) => {
      const model = new Model({ maxQueuedTasks })
      for (const action of actions) model.act(...action)
      model.end()
      refusals += model.refusals
    }),
    { numRuns: 600, includeErrorInReport: true },
  )
  assert.ok(refusals > 0)
})

const tasks = (sent: Sent[]) => sent.flatMap((one) => (one.type === 'task' ? `${one.to.id}:${one.call}` : []))
const refusals = (sent: Sent[]) => sent.flatMap((one) => (one.type === 'refusal' ? `${one.call}:${one.code}` : []))

test('members with equal load are chosen in turn', () => {
  const world = new World()
  const caller = world.member('caller')
  const servers = ['a', 'b', 'c'].map((id) => world.member(id, { x: 10 }))
  world.sent()
  for (let i = 0; i < 30; i++) caller.ask(Address.Anybody, 'x')
  const sent = tasks(world.sent())
  for (const { id } of servers) assert.equal(sent.filter((one) => one.startsWith(id)).length, 10, id)
})

test('a lone task goes round: no member gets them all', () => {
  const world = new World()
  const caller = world.member('caller')
  const servers = ['a', 'b', 'c'].map((id) => world.member(id, { x: 10 }))
  const chosen = new Set<string>()
  for (let i = 0; i < 3; i++) {
    world.sent()
    const call = caller.ask(Address.Anybody, 'x')
    const [given] = world.sent().filter((one) => one.type === 'task')
    chosen.add(given?.to.id as string)
    servers.find((server) => server === given?.to)?.answer(caller, call)
  }
  assert.equal(chosen.size, 3)
})

test('requests and delegations share the places of a handler, and of a member all tasks count as its load', () => {
  const world = new World()
  const caller = world.member('caller')
  const a = world.member('a', { x: 2, y: 2 })
  const b = world.member('b', { x: 2, y: 2 })
  world.sent()
  caller.ask(a.peer.place.address, 'y')
  caller.ask(a.peer.place.address, 'y')
  caller.ask(Address.Anybody, 'x')
  caller.ask(Address.Anybody, 'x')
  assert.deepEqual(tasks(world.sent()), ['a:0', 'a:1', 'b:2', 'b:3'])
  caller.ask(b.peer.place.address, 'x')
  assert.deepEqual(tasks(world.sent()), [], 'b is full')
  b.answer(caller, 2)
  assert.deepEqual(tasks(world.sent()), ['b:4'])
})

test('an answer to another member’s call is refused and counted, and the call goes on', () => {
  const world = new World()
  const caller = world.member('caller')
  const server = world.member('server', { x: 1 })
  const thief = world.member('thief', { x: 1 })
  const call = caller.ask(server.peer.place.address, 'x')
  world.sent()
  thief.answer(caller, call, 'forged')
  thief.send(callFrame(Kind.Refusal, caller.peer.address, call, '{}'))
  thief.send(callFrame(Kind.Response, 0xffff, call, '{}'))
  assert.deepEqual(world.sent(), [])
  assert.equal(thief.peer.protocolErrors, 3)
  server.answer(caller, call, 'true')
  assert.deepEqual(
    world.sent().map((one) => one.type === 'answer' && one.body),
    ['true'],
  )
  server.answer(caller, call, 'again')
  assert.deepEqual(world.sent(), [])
  assert.equal(server.peer.protocolErrors, 1)
})

test('a number greater than any that a member would give is one like any other', () => {
  const world = new World()
  const caller = world.member('caller')
  const server = world.member('server', { x: 1 })
  for (const call of [2 ** 31, 2 ** 32 - 1]) {
    caller.send(caller.frame(Address.Anybody, 'x', call))
    server.answer(caller, call)
    assert.deepEqual(
      world.sent().map((one) => one.type),
      ['task', 'answer'],
    )
  }
  assert.equal(server.peer.protocolErrors, 0)
  assert.equal(world.exchange.dispatcher.unsettled, 0)
})

test('a caller’s exit cancels its calls in the order in which it made them', () => {
  const world = new World()
  const caller = world.member('caller')
  world.member('server', { x: 100 })
  caller.lastCall = 59
  for (let i = 0; i < 20; i++) caller.ask(Address.Anybody, 'x')
  world.sent()
  world.exit(caller, 'restarting')
  assert.deepEqual(
    world.sent().map((one) => one.type === 'cancel' && one.call),
    Array.from({ length: 20 }, (_, i) => 60 + i),
  )
})

test('a number that is in use cannot be used for another call', () => {
  const world = new World()
  const caller = world.member('caller')
  world.member('server', { x: 1 })
  caller.ask(Address.Anybody, 'x')
  world.sent()
  caller.send(caller.frame(Address.Anybody, 'x', 0))
  assert.deepEqual(world.sent(), [])
  assert.equal(caller.peer.protocolErrors, 1)
})

test('an address that is no seat is answered', () => {
  const world = new World()
  const caller = world.member('caller', { x: 1 })
  for (const address of [Address.Hub, Address.Everybody, Address.Others, caller.peer.address, 0xfffff]) {
    caller.ask(address, 'x')
  }
  assert.deepEqual(
    refusals(world.sent()),
    [0, 1, 2, 3, 4].map((call) => `${call}:ERR_HUB_NO_MEMBER`),
  )
})

test('a task is sent again in its old place, before what came after it', () => {
  const world = new World()
  const caller = world.member('caller')
  const first = world.member('server', { x: 1 })
  const place = first.peer.place
  caller.ask(place.address, 'x', 1)
  caller.ask(place.address, 'x')
  world.exit(first, 'restarting')
  caller.ask(place.address, 'x')
  const second = world.start(place)
  second.handle('x', 1)
  world.sent()
  world.open(second)
  for (let call = 0; call < 3; call++) {
    assert.deepEqual(tasks(world.sent()), [`server:${call}`])
    second.answer(caller, call)
  }
})

test('a task is sent again as often as was allowed', () => {
  const world = new World()
  const caller = world.member('caller')
  const place = world.place('server')
  const given: Sent[] = []
  world.sent()
  for (let round = 0; round < 3; round++) {
    const server = world.start(place)
    server.handle('x')
    world.open(server)
    if (round === 0) caller.ask(place.address, 'x', 2)
    given.push(...world.sent())
    world.exit(server, 'restarting')
  }
  assert.deepEqual(tasks(given), ['server:0', 'server:0', 'server:0'])
  assert.deepEqual(refusals(world.sent()), ['0:ERR_HUB_MEMBER_EXITED'])
})

test('what was sent before a seat restarted reaches it before what was sent after', () => {
  const world = new World()
  const caller = world.member('caller')
  const first = world.member('server', { x: 1 })
  const place = first.peer.place
  first.tell({ t: 'listen', name: 'e', on: true })
  caller.ask(place.address, 'x')
  caller.ask(place.address, 'x')
  world.exit(first, 'restarting')
  caller.emit(place.address, 'after')
  const second = world.start(place)
  second.handle('x', 1)
  second.tell({ t: 'listen', name: 'e', on: true })
  world.sent()
  world.open(second)
  assert.deepEqual(
    world.sent().map(({ type }) => type),
    ['task', 'event'],
  )
})

test('what a member sends to itself overtakes nothing, though a freed place is filled past what was read before', () => {
  // Events and requests to itself and answers to itself, in one batch, in any order.
  fc.assert(
    fc.property(fc.array(fc.constantFrom('event', 'request', 'delegate', 'answer'), { maxLength: 60 }), (script) => {
      const world = new World()
      const self = world.member('self', { x: 1 })
      self.tell({ t: 'listen', name: 'e', on: true })
      const { address } = self.peer.place
      let call = -1
      // The first is at work, so that the others have to wait.
      self.ask(address, 'x')
      call = self.lastCall
      world.sent()
      let frames = ''
      let sent = 0
      const eventsBefore = new Map<number, number>()
      let answered = -1
      for (const step of script) {
        if (step === 'event') {
          frames += self.event(address, String(sent++))
        } else if (step === 'answer') {
          // Its own calls one after the other: concurrency 1 says that only the oldest runs.
          if (answered < call) frames += callFrame(Kind.Response, self.peer.address, ++answered, '1')
        } else {
          frames += self.frame(step === 'request' ? address : Address.Anybody, 'x', ++call)
          eventsBefore.set(call, sent)
        }
      }
      self.send(frames)
      let seen = 0
      let last = 0
      for (const one of world.sent()) {
        if (one.type === 'event') assert.equal(one.body, String(seen++))
        if (one.type !== 'task') continue
        assert.ok(one.call > last, 'tasks in order')
        last = one.call
        assert.ok(seen >= (eventsBefore.get(one.call) as number), 'no task before an event that was sent before it')
      }
      assert.equal(seen, sent)
      assert.equal(self.peer.protocolErrors, 0)
    }),
    { numRuns: 1000, includeErrorInReport: true },
  )
})

test('what is kept to be sent again owns its memory', () => {
  const world = new World()
  const caller = world.member('caller')
  const first = world.member('server', { x: 1 })
  const place = first.peer.place
  const kept: Uint8Array[] = []
  const ask = (attachment: Uint8Array, retries: number) => {
    const call = ++caller.lastCall
    attachment[0] = call
    caller.send(caller.frame(place.address, 'x', call, retries, ATTACHED), [attachment])
    // As if the channel used its memory again.
    attachment[0] = 99
    kept.push(attachment)
  }
  // A view as Node hands it out, and a Buffer, whose slice() shares memory.
  ask(new Uint8Array(new ArrayBuffer(65536), 100, 10), 1)
  ask(Buffer.allocUnsafe(10), 0)
  world.sent()
  world.exit(first, 'restarting')
  ask(Buffer.allocUnsafe(10), 0)
  const second = world.start(place)
  second.handle('x', 3)
  // World itself compares each attachment with its call's number.
  world.open(second)
  assert.deepEqual(tasks(world.sent()), ['server:0', 'server:1', 'server:2'])
})

test('a task that is handled anew does not forget what still runs', () => {
  const world = new World()
  const caller = world.member('caller')
  const server = world.member('server', { x: 1 })
  caller.ask(Address.Anybody, 'x')
  server.unhandle('x')
  server.handle('x', 1)
  world.sent()
  caller.ask(Address.Anybody, 'x')
  assert.deepEqual(world.sent(), [])
  server.answer(caller, 0)
  assert.deepEqual(tasks(world.sent()), ['server:1'])
})

test('a full link is given tasks only by those who insist, and they are refused', () => {
  const world = new World()
  const caller = world.member('caller')
  const full = world.member('full', { x: 10 })
  const other = world.member('other', { x: 10 })
  Object.defineProperty(full.peer, 'full', { value: true })
  world.sent()
  for (let i = 0; i < 4; i++) caller.ask(Address.Anybody, 'x')
  assert.deepEqual(tasks(world.sent()), ['other:0', 'other:1', 'other:2', 'other:3'])
  caller.ask(full.peer.place.address, 'x')
  Object.defineProperty(other.peer, 'full', { value: true })
  caller.ask(Address.Anybody, 'x')
  assert.deepEqual(refusals(world.sent()), ['4:ERR_HUB_OVERLOADED', '5:ERR_HUB_OVERLOADED'])
})

test('the hub’s queue is bounded in tasks and in bytes', () => {
  for (const options of [{ maxQueuedTasks: 3 }, { maxQueueBytes: 60 }]) {
    const world = new World(options)
    const caller = world.member('caller')
    const server = world.member('server', { x: 1 })
    world.sent()
    for (let i = 0; i < 6; i++) caller.ask(Address.Anybody, 'x')
    const sent = world.sent()
    assert.deepEqual(tasks(sent), ['server:0'])
    assert.deepEqual(refusals(sent), ['4:ERR_HUB_OVERLOADED', '5:ERR_HUB_OVERLOADED'])
    for (let call = 0; call < 4; call++) server.answer(caller, call)
    world.sent()
    caller.ask(Address.Anybody, 'x')
    assert.deepEqual(tasks(world.sent()), ['server:6'], 'room again')
  }
})

test('what is kept for retries is bounded in bytes, attachments included, and let go with its call', () => {
  const world = new World({ maxQueueBytes: 1000 })
  const caller = world.member('caller')
  const server = world.member('server', { x: 100 })
  const ask = () => {
    const call = ++caller.lastCall
    caller.send(caller.frame(Address.Anybody, 'x', call, 1, ATTACHED), [new Uint8Array(600).fill(call)])
    return call
  }
  world.sent()
  for (let round = 0; round < 3; round++) {
    // The bound is looked at before a call is accepted: the second goes beyond it, the third is refused.
    const [first, second] = [ask(), ask()]
    assert.equal(tasks(world.sent()).length, 2, `round ${round}`)
    const third = ask()
    assert.deepEqual(refusals(world.sent()), [`${third}:ERR_HUB_OVERLOADED`])
    server.answer(caller, first)
    server.answer(caller, second)
    world.sent()
  }
})

test('what is held for a seat is bounded, and cancelled calls are not resumed', () => {
  const world = new World({ maxHeldBytes: 600 })
  const caller = world.member('caller')
  const place: Place = world.place('server')
  const server = world.start(place)
  server.handle('x')
  world.sent()
  for (let i = 0; i < 5; i++) caller.ask(place.address, 'x')
  assert.deepEqual(refusals(world.sent()), ['3:ERR_HUB_OVERLOADED', '4:ERR_HUB_OVERLOADED'])
  caller.cancel(1)
  world.open(server)
  assert.deepEqual(tasks(world.sent()), ['server:0', 'server:2'])
})

test('a delegation waits for seats that start, and is refused as soon as all are ready and none serves it', () => {
  const world = new World()
  const caller = world.member('caller')
  const a = world.start(world.place('a'))
  const b = world.start(world.place('b'))
  world.sent()
  caller.ask(Address.Anybody, 'x')
  world.open(a)
  assert.deepEqual(world.sent(), [], 'b may serve it')
  world.open(b)
  assert.deepEqual(refusals(world.sent()), ['0:ERR_HUB_NO_HANDLER'])
})

test('withdrawn calls are swept out of a queue whose head does not move', async () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const world = new World()
  const { peer } = world.member('caller')
  const desk: Desk = { peer, calls: new NumberTable(), serving: 0, handlers: new Map() }
  const queue = new TaskQueue()
  const head = new Call(desk, 0, 'x', undefined, 0, 0)
  queue.push(head)
  const withdrawn: WeakRef<Call>[] = []
  for (let order = 1; order <= 1000; order++) {
    const call = new Call(desk, order, 'x', undefined, 0, order)
    queue.push(call)
    queue.withdraw(call)
    withdrawn.push(new WeakRef(call))
  }
  // A WeakRef holds what it was made for until the turn is over.
  await new Promise(setImmediate)
  collectGarbage()
  assert.equal(queue.length, 1)
  assert.ok(withdrawn.filter((call) => call.deref()).length < 200, 'few of them are kept')
  assert.equal(queue.take([undefined]), head)
  assert.deepEqual(queue.audiences, [])
})

test('a number that comes again while its first handler still runs is refused, not forgotten', () => {
  const world = new World()
  const caller = world.member('caller')
  const server = world.member('server', { x: 10 })
  caller.ask(Address.Anybody, 'x')
  caller.cancel(0)
  world.sent()
  caller.lastCall = -1
  caller.ask(Address.Anybody, 'x')
  assert.deepEqual(refusals(world.sent()), ['0:ERR_HUB_OVERLOADED'])
  server.answer(caller, 0)
  assert.deepEqual(world.sent(), [], 'nobody waits for that answer')
  caller.lastCall = -1
  caller.ask(Address.Anybody, 'x')
  assert.deepEqual(tasks(world.sent()), ['server:0'])
})

test('idle resolves when nothing is queued any more, whatever became of it', async () => {
  const world = new World()
  const caller = world.member('caller')
  const server = world.member('server', { x: 1 })
  const { dispatcher } = world.exchange
  await dispatcher.idle()
  for (let i = 0; i < 3; i++) caller.ask(Address.Anybody, 'x')
  let idle = false
  const waiting = dispatcher.idle().then(() => {
    idle = true
  })
  caller.cancel(1)
  await Promise.resolve()
  assert.equal(idle, false)
  server.answer(caller, 0)
  await waiting
})

test.run()
