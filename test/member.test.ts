import assert from 'node:assert/strict'
import { getEventListeners, once } from 'node:events'
import { HubError } from 'hubwire'
import { test } from 'uvu'
import { Member } from '#lib/member.js'
import type { Settings, ToMember } from '#lib/relay/control.js'
import { Validator } from '#lib/schema.js'
import { Expiring, Expiry } from '#lib/tasks/expiry.js'
import { PendingCalls } from '#lib/tasks/pending.js'
import { type Batch, MARKER, NO_ATTACHMENTS, readBatch } from '#lib/wire/batch.js'
import { decodeValue } from '#lib/wire/codec.js'
import {
  callHeader,
  controlFrame,
  eventBody,
  eventHead,
  eventHeader,
  Kind,
  messageCount,
  readKind,
  requestHeader,
  requestName,
  senderFrame,
} from '#lib/wire/frame.js'
import { answerKind, Scope } from '#lib/wire/packet.js'
import { heap } from './wire/heap.js'

const SELF = 20

/** A member whose hub is this test. */
async function joined(
  settings: Partial<Settings> = {},
): Promise<{ member: Member; sent: Batch[]; receive: (frames: string) => void }> {
  const sent: Batch[] = []
  const member = new Member({
    transport: {
      send(batch, done) {
        sent.push(batch)
        process.nextTick(done, null)
      },
      sendHandle() {},
    },
    validator: new Validator(undefined),
    onStop() {},
  })
  const receive = (frames: string) => member.receive({ text: MARKER + frames, attachments: NO_ATTACHMENTS })
  const joining = member.join()
  const welcome: ToMember = {
    t: 'welcome',
    id: 'a',
    role: undefined,
    incarnation: 1,
    address: 21,
    sockets: 'none',
    members: [{ id: 'a', role: undefined, pid: 1, incarnation: 1, state: 'ready', address: SELF }],
    roles: [],
    settings: {
      timeout: 30_000,
      highWaterMark: 1 << 20,
      maxQueueBytes: 1 << 26,
      maxMessageBytes: 1 << 26,
      maxPendingCalls: 1000,
      gracePeriod: 1000,
      ...settings,
    },
  }
  receive(controlFrame(JSON.stringify(welcome)))
  await joining
  return { member, sent, receive }
}

const event = (name: string, body: string) => eventHeader(0, eventHead(SELF, name), body.length) + body

test('an event that cannot be read is dropped, counted and told once; those around it arrive', async () => {
  const { member, receive } = await joined()
  const seen: unknown[] = []
  member.on('news', (value) => seen.push(value))
  const warned = once(process, 'warning')
  const bad = event('news', '{"not json')
  receive(senderFrame(30, 1, 'b', undefined) + event('news', '[1]') + bad + bad + event('news', '[2]'))
  assert.deepEqual(seen, [1, 2])
  assert.equal(member.stats().refusedPayloads, 2)
  const [warning] = await warned
  assert.match(warning.message, /^Event "news" from "b" was dropped: /)
})

test('an answer or an error that cannot be read rejects its call alone', async () => {
  const { member, receive } = await joined()
  const calls = [1, 2, 3].map((input) => member.to('a').request('task', input))
  const answer = (kind: number, call: number, body: string) => callHeader(kind, 21, call, body.length) + body
  receive(
    senderFrame(30, 1, 'b', undefined) +
      answer(Kind.Response, 0, '{') +
      answer(Kind.Failure, 1, '{') +
      answer(Kind.Response, 2, '"fine"'),
  )
  const settled = await Promise.allSettled(calls)
  assert.deepEqual(
    settled.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code)),
    ['ERR_HUB_PROTOCOL', 'ERR_HUB_PROTOCOL', 'fine'],
  )
})

test('a listener whose event name is refused does not stay behind', async () => {
  const { member } = await joined()
  const name = 'x'.repeat(256)
  for (const method of ['on', 'once', 'prependListener', 'prependOnceListener'] as const) {
    assert.throws(() => member[method](name, () => {}), /longer than 255 characters/)
  }
  assert.equal(member.listenerCount(name), 0)
})

test('a call keeps the process alive until it is answered, and no longer', async () => {
  // Only timers that do keep it alive are listed.
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const { member, receive } = await joined()
  const before = timers()
  const asked = member.to('a').timeout(54_321).request('x')
  assert.equal(timers(), before + 1)
  receive(callHeader(Kind.Response, 21, 0, 1).concat('1'))
  assert.equal(await asked, 1)
  assert.equal(timers(), before)
})

test('a thenable that calls back twice, or throws, is answered once', async () => {
  const { member, sent, receive } = await joined()
  const odd = [
    // biome-ignore lint/suspicious/noThenProperty: what a broken promise library makes
    { then: (resolve: (value: number) => void) => [resolve(1), resolve(2)] },
    {
      // biome-ignore lint/suspicious/noThenProperty: the same
      get then() {
        throw new Error('no')
      },
    },
  ]
  member.handle('odd', (i: unknown) => odd[i as number])
  await new Promise(setImmediate)
  sent.length = 0
  const request = (i: number) => requestHeader(0, SELF, i, Number.POSITIVE_INFINITY, 0, 'odd', 1) + i
  receive(senderFrame(30, 1, 'b', undefined) + request(0) + request(1))
  await new Promise(setImmediate)
  assert.equal(member.stats().runningTasks, 0)
  const kinds: number[] = []
  for (const batch of sent) readBatch(batch, (text, at) => kinds.push(readKind(text, at)))
  assert.deepEqual(kinds.sort(), [Kind.Response, Kind.Failure])
})

test('calls with one signal share one listener on it, which goes with the last of them', async () => {
  const { member, receive } = await joined()
  const controller = new AbortController()
  const calls = Array.from({ length: 20 }, () => member.signal(controller.signal).to('a').request('task'))
  assert.equal(getEventListeners(controller.signal, 'abort').length, 1)
  receive(senderFrame(30, 1, 'b', undefined) + callHeader(Kind.Response, 21, 0, 1).concat('1'))
  assert.equal(await calls[0], 1)
  controller.abort(new Error('enough'))
  for (const result of await Promise.allSettled(calls.slice(1))) {
    assert.equal(result.status === 'rejected' && result.reason.code, 'ERR_HUB_ABORTED')
    assert.equal(result.status === 'rejected' && result.reason.cause.message, 'enough')
  }
  assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
})

test('a refusal that cannot be read rejects its call, and nothing else suffers', async () => {
  const { member, receive } = await joined()
  for (const [call, body] of ['garbage', 'null'].entries()) {
    const asked = member.delegate('x')
    receive(callHeader(Kind.Refusal, 21, call, body.length) + body)
    await assert.rejects(asked, { code: 'ERR_HUB_PROTOCOL', message: /"x".*cannot be read/ })
  }
})

test('a question of Socket.IO is answered by those whom the hub has asked, each until it is done', async () => {
  const { member, receive } = await joined()
  member.packets.attach('/', () => {})
  const heard: string[] = []
  let done = false
  const onDone = () => {
    done = true
  }
  const body = { text: 'x', bytes: undefined }
  member.packets.ask('/', { scope: Scope.Servers }, body, (text) => heard.push(text), onDone)
  const answer = (from: number, text: string, last = true) =>
    receive(senderFrame(from, 1, `m${from}`, undefined) + callHeader(answerKind(last), 21, 1, text.length) + text)
  answer(30, 'before anybody was asked')
  receive(controlFrame(JSON.stringify({ t: 'asked', call: 1, to: [30, 31] } satisfies ToMember)))
  answer(32, 'not asked')
  answer(30, 'first', false)
  answer(30, 'second')
  answer(30, 'after its last')
  assert.equal(done, false)
  answer(31, 'third')
  assert.equal(done, true)
  assert.deepEqual(heard, ['first', 'second', 'third'])
})

test('names and ids that a user keeps do not keep the batches alive that brought them', async () => {
  const { member, receive } = await joined()
  const kept: string[] = []
  member.onAny((name, _args, { from }) => kept.push(name, from.id, from.role ?? ''))
  const id = 'an id of more than twelve characters'
  const filler = event('filler', JSON.stringify(['x'.repeat(65_536)]))
  const before = await heap()
  for (let i = 0; i < 500; i++) {
    const frames = senderFrame(30, 1, id, id) + event(`a name of more than twelve characters ${i}`, '[]') + filler
    // As it comes in from a channel: flat, and nobody else's.
    receive(Buffer.from(frames, 'latin1').toString('latin1'))
  }
  const used = (await heap()) - before
  assert.equal(kept.length, 3000)
  assert.ok(used < 4 << 20, `${(used / 2 ** 20).toFixed(1)} MiB`)
})

test('calls that the hub’s end leaves without an answer are rejected in the order in which they were made', async () => {
  const { member } = await joined()
  const rejected: number[] = []
  const calls = Array.from({ length: 20 }, (_, i) => member.delegate('x').catch(() => rejected.push(i)))
  member.finish()
  await Promise.all(calls)
  assert.deepEqual(
    rejected,
    calls.map((_, i) => i),
  )
})

test('a timeout of its own for each call leaves no timers behind', () => {
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const before = timers()
  const expiry = new Expiry(() => {})
  for (let call = 0; call < 1000; call++) {
    const item = new Expiring(30_000 + call / 7)
    expiry.add(item, performance.now())
    expiry.remove(item)
  }
  assert.ok(timers() - before <= 70, `${timers() - before} timers`)
  expiry.clear()
})

test('a loop that looks at nothing is stopped at maxQueueBytes, and says how to go on', async () => {
  const { member } = await joined()
  assert.throws(
    () => {
      for (let i = 0; i < 1000; i++) member.emit('flood', 'x'.repeat(100_000))
    },
    (error: { code?: string; message?: string }) =>
      error.code === 'ERR_HUB_OVERLOADED' && /emit\("flood"\).*await hub\.drained\(\)/.test(error.message ?? ''),
  )
  assert.ok(member.stats().queuedBytes < (1 << 26) + 200_000)
})

/** What a member has sent, other than to the hub itself: names, and the bodies of events. */
function eventsIn(sent: Batch[]): unknown[] {
  const found: unknown[] = []
  for (const batch of sent) {
    readBatch(batch, (text, at, length, attachment) => {
      const kind = readKind(text, at)
      if (kind === Kind.Request) found.push(requestName(text, at))
      if (kind !== Kind.Event) return
      const body = decodeValue(text.slice(eventBody(text, at), at + length), attachment)
      found.push(...(messageCount(text, at) > 1 ? (body as unknown[]) : [body]))
    })
  }
  return found
}

test('what leaves is what was given to emit(), whatever becomes of it in the same turn', async () => {
  const { member, sent } = await joined()
  sent.length = 0
  const order: Record<string, unknown> = { id: 1, total: 9.5 }
  const nested = { lines: [1] }
  member.emit('order', order)
  member.emit('order', nested)
  order.id = 2
  order.extra = () => {}
  nested.lines.push(2)
  member.emit('order', { ...order, extra: null })
  member
    .to('a')
    .request('price', order.id)
    .catch(() => {})
  member.emit('order', Object.assign(Object.create(null), { id: 3 }))
  let reads = 0
  const fickle = {
    get id() {
      return ++reads < 100 ? `read` : undefined
    },
  }
  member.emit('order', fickle)
  await new Promise(setImmediate)
  assert.deepEqual(eventsIn(sent), [
    { id: 1, total: 9.5 },
    { lines: [1] },
    { id: 2, total: 9.5, extra: null },
    'price',
    { id: 3 },
    { id: 'read' },
  ])
  member.finish()
})

test('one object that is changed and emitted again is each time what it was', async () => {
  const { member, sent } = await joined()
  sent.length = 0
  const order: Record<string, unknown> = { id: 1, total: 9.5 }
  member.emit('order', order)
  order.id = 2
  delete order.total
  member.emit('order', order)
  order.note = 'late'
  member.emit('order', order)
  order.id = 3
  await new Promise(setImmediate)
  assert.deepEqual(eventsIn(sent), [{ id: 1, total: 9.5 }, { id: 2 }, { id: 2, note: 'late' }])
})

test('whatever a getter gives next, it is sent as it was, or refused at once', async () => {
  const { member, sent } = await joined({ maxMessageBytes: 1000 })
  sent.length = 0
  const inner = { v: 1 }
  const expected: unknown[] = []
  // However often it has been read when it changes.
  for (let before = 0; before < 8; before++) {
    for (const then of [2n, 'x'.repeat(5000), inner]) {
      inner.v = 1
      let reads = 0
      let last: unknown
      const fickle = {
        get x() {
          last = reads++ < before ? 1 : then
          return last
        },
      }
      try {
        member.emit('news', fickle)
        expected.push({ x: last === inner ? { v: 1 } : last })
      } catch (error) {
        assert.equal((error as HubError).code, 'ERR_HUB_PAYLOAD')
        assert.equal(last, then)
      }
      inner.v = 2
    }
  }
  await new Promise(setImmediate)
  assert.ok(expected.length > 8, `${expected.length} were sent`)
  assert.deepEqual(eventsIn(sent), expected)
})

test('what is thrown by a getter is told at once, and what it emits itself comes first', async () => {
  const { member, sent } = await joined()
  sent.length = 0
  const throwing = {
    a: 1,
    get [Symbol('hidden')]() {
      throw new Error('no')
    },
  }
  member.emit('news', throwing)
  const refused = {
    get x() {
      throw new Error('no')
    },
  }
  assert.throws(() => member.emit('news', refused), { code: 'ERR_HUB_PAYLOAD', message: /args\[0\]\.x is a getter/ })
  const emitting = {
    get x() {
      member.emit('news', { x: 'inner' })
      return 'outer'
    },
  }
  member.emit('news', emitting)
  await new Promise(setImmediate)
  assert.deepEqual(eventsIn(sent).slice(0, 1), [{ a: 1 }])
  assert.deepEqual(eventsIn(sent).slice(-2), [{ x: 'inner' }, { x: 'outer' }])
})

test('events without arguments, or with undefined, arrive among others that share a frame', async () => {
  const { member, sent, receive } = await joined()
  const got: unknown[][] = []
  member.on('p', (...args: unknown[]) => got.push(args))
  sent.length = 0
  member.emit('p', { a: 1 })
  member.emit('p', undefined)
  member.emit('p', { a: 2 })
  member.emit('p')
  member.emit('p', 1, 2)
  member.emit('p', 3, 4)
  await new Promise(setImmediate)
  const frames = sent.map(({ text }) => text.slice(MARKER.length)).join('')
  receive(senderFrame(30, 1, 'b', undefined) + frames)
  assert.deepEqual(got, [[{ a: 1 }], [undefined], [{ a: 2 }], [], [1, 2], [3, 4]])
})

test('to many at once, what waits is counted for each of them', async () => {
  const { member, receive } = await joined({ maxQueueBytes: 100_000 })
  for (const [i, id] of ['b', 'c', 'd'].entries()) {
    const other = { id, role: undefined, pid: 1, incarnation: 1, state: 'ready', address: 30 + i } as const
    receive(controlFrame(JSON.stringify({ t: 'member', member: other, role: undefined } satisfies ToMember)))
  }
  const to = member.to(['a', 'b', 'c', 'd'])
  let sent = 0
  assert.throws(
    () => {
      for (; sent < 10_000; sent++) to.emit('flood', { text: 'x'.repeat(100) })
    },
    { code: 'ERR_HUB_OVERLOADED' },
  )
  assert.ok(sent > 150 && sent < 420, `${sent}`)
})

test('a message that would be too long once it is encoded is refused at once', async () => {
  const { member, sent } = await joined({ maxMessageBytes: 1000 })
  sent.length = 0
  for (const message of [{ text: '\0'.repeat(200) }, { text: 'x'.repeat(1000) }]) {
    assert.throws(() => member.emit('news', message), { code: 'ERR_HUB_PAYLOAD', message: /maxMessageBytes/ })
  }
  member.emit('news', { text: '\0'.repeat(100) })
  member.emit('news', { text: 'x'.repeat(980) })
  await new Promise(setImmediate)
  assert.equal(eventsIn(sent).length, 2)
})

test('a loop of small messages is stopped at maxQueueBytes, too, before the turn ends', async () => {
  const { member } = await joined({ maxQueueBytes: 10_000 })
  let sent = 0
  assert.throws(
    () => {
      for (; sent < 10_000; sent++) member.emit('flood', { i: sent, text: 'x'.repeat(50) })
    },
    { code: 'ERR_HUB_OVERLOADED' },
  )
  assert.ok(sent > 100 && sent < 200, `${sent}`)
})

/** The messages of what these promises are rejected with. */
async function messages(attempts: Promise<unknown>[]): Promise<string[]> {
  return (await Promise.allSettled(attempts)).map((result) => {
    assert.ok(result.status === 'rejected' && result.reason instanceof HubError)
    assert.equal(result.reason.code, 'ERR_HUB_CLOSED')
    return result.reason.message
  })
}

test('whoever waits when the hub closes is told what was tried, and what to do', async () => {
  const { member } = await joined()
  const waiting = [
    member.drained(),
    member.drained('a'),
    member.sync('hub.stop("b")'),
    member.sync(),
    member.to('a').request('x'),
    member.delegate('x'),
  ]
  member.finish()
  const barrier = 'the hub was closed before it was done. Await it before hub.close().'
  const call = 'the hub was closed before an answer came. The task may have run. Await your calls before hub.close().'
  assert.deepEqual(await messages(waiting), [
    `hub.drained(): ${barrier}`,
    `hub.drained(): ${barrier}`,
    `hub.stop("b"): ${barrier}`,
    `Waiting for the hub: ${barrier}`,
    `Request "x" to "a": ${call}`,
    `Delegation of "x": ${call}`,
  ])
})

test('whoever joins when the channel closes is told so', async () => {
  const member = new Member({
    transport: { send: (_batch, done) => process.nextTick(done, null), sendHandle() {} },
    validator: new Validator(undefined),
    onStop() {},
  })
  const joining = member.join()
  member.finish()
  assert.deepEqual(await messages([joining]), [
    'Joining the hub: the channel to it closed before it answered. ' +
      'Look whether the primary has ended, or closed its hub.',
  ])
})

test('call numbers skip those that still wait', async () => {
  const calls = new PendingCalls(
    new Validator(undefined),
    () => {},
    () => {},
  )
  const options = { timeout: Number.POSITIVE_INFINITY, signal: undefined, retries: 0 }
  const to = { kind: 'member', toString: () => '"a"' }
  const waiting = [0, 1].map((call) => calls.expect(call, performance.now(), to, 'x', options))
  assert.equal(calls.next(), 2)
  calls.close(undefined)
  assert.equal((await messages(waiting)).length, 2)
})

test.run()
