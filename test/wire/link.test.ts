import assert from 'node:assert/strict'
import { test } from 'uvu'
import { MARKER } from '#lib/wire/batch.js'
import {
  ATTACHED,
  controlFrame,
  eventName,
  Kind,
  readKind,
  readSender,
  requestName,
  senderFrame,
} from '#lib/wire/frame.js'
import { Link, type LinkOptions } from '#lib/wire/link.js'
import { FakeTransport, turn } from './fake-transport.js'
import { eventFrame, requestFrame } from './frames.js'
import { heap } from './heap.js'

const FULL = 61_440

function open(options: Partial<LinkOptions> = {}) {
  const transport = new FakeTransport()
  const link = new Link(transport, { highWaterMark: 1 << 20, ...options })
  return { transport, link }
}

/** A link of which two batches are on their way, so that all else waits. */
async function busy(options: Partial<LinkOptions> = {}) {
  const { transport, link } = open(options)
  for (let i = 0; i < 2; i++) {
    link.write(event('busy'))
    await turn()
  }
  assert.equal(transport.inFlight, 2)
  return { transport, link }
}

const event = (name: string, size = 0) => eventFrame(0, 20, name, 'x'.repeat(size))
const request = (name: string, size = 0) => requestFrame(0, 20, 1, 0, 0, name, 'x'.repeat(size))
const sender = (id: string) => senderFrame(30, 1, id, undefined)

/** The frames as words: `event:news`, `request:task`, `sender:id`, `control`. */
function words(transport: FakeTransport): string[] {
  return transport.frames
    .map(({ text }) => {
      const kind = readKind(text, 0)
      if (kind === Kind.Event) return `event:${eventName(text, 0)}`
      if (kind === Kind.Request) return `request:${requestName(text, 0)}`
      if (kind === Kind.Sender) return `sender:${readSender(text, 0, text.length).id}`
      return 'control'
    })
    .filter((word) => word !== 'event:busy')
}

test('who hurries sends at once, in order, and within what the channel takes', async () => {
  const { transport, link } = open()
  link.write(event('a'))
  link.hurry()
  assert.deepEqual(words(transport), ['event:a'])
  link.write(event('b'))
  await turn()
  assert.deepEqual(words(transport), ['event:a', 'event:b'])
  const full = await busy()
  full.link.write(event('c'))
  full.link.hurry()
  assert.equal(full.transport.inFlight, 2)
  full.transport.acknowledge()
  assert.deepEqual(words(full.transport), ['event:c'])
})

test('the frames of a turn leave together, in one flush', async () => {
  const { transport, link } = open()
  link.write(event('a'))
  link.write(request('b') + event('c'))
  assert.equal(transport.batches.length, 0)
  await null
  link.write(event('d'))
  await turn()
  assert.equal(transport.batches.length, 2)
  assert.deepEqual(words(transport), ['event:a', 'request:b', 'event:c', 'event:d'])
  assert.ok(transport.batches.every(({ text }) => text.startsWith(MARKER)))
})

test('the first frame of a turn schedules one flush', async () => {
  const { link } = open()
  const original = globalThis.queueMicrotask
  let scheduled = 0
  globalThis.queueMicrotask = (callback) => {
    scheduled++
    original(callback)
  }
  try {
    for (let i = 0; i < 10; i++) link.write(event('a'))
    await turn()
    assert.equal(scheduled, 1)
    for (let i = 0; i < 10; i++) link.write(event('b'))
    await turn()
    assert.equal(scheduled, 2)
  } finally {
    globalThis.queueMicrotask = original
  }
})

test('where a flush cannot be scheduled, as the stack is full, the next one to write schedules it', async () => {
  const { transport, link } = open()
  const original = globalThis.queueMicrotask
  globalThis.queueMicrotask = () => {
    throw new RangeError('Maximum call stack size exceeded')
  }
  try {
    assert.throws(() => link.write(event('a')), RangeError)
  } finally {
    globalThis.queueMicrotask = original
  }
  link.write(event('b'))
  await turn()
  assert.deepEqual(words(transport), ['event:a', 'event:b'])
})

test('at most two batches are on their way', async () => {
  const { transport, link } = open()
  for (let i = 0; i < 10; i++) {
    link.write(event(`e${i}`, 100))
    await turn()
  }
  assert.equal(transport.inFlight, 2)
  transport.acknowledge()
  // All that waited fits into one.
  assert.equal(transport.batches.length, 3)
  assert.equal(link.queuedBytes, 0)
  transport.acknowledgeAll()
  assert.equal(transport.mostInFlight, 2)
  assert.deepEqual(
    words(transport),
    Array.from({ length: 10 }, (_, i) => `event:e${i}`),
  )
})

test('a full batch goes at once, and no third one', () => {
  const { transport, link } = open()
  link.write(event('a', FULL - 100))
  assert.equal(transport.batches.length, 0)
  link.write(event('b', 200))
  assert.equal(transport.batches.length, 1)
  link.write(event('c', FULL))
  assert.equal(transport.batches.length, 2)
  link.write(event('d', FULL))
  assert.equal(transport.batches.length, 2)
  assert.equal(link.queuedBytes, event('d', FULL).length)
})

test('attachments count as bytes of a batch', () => {
  const { transport, link } = open()
  const frame = eventFrame(ATTACHED, 20, 'a', '')
  link.write(frame, '', [new Uint8Array(FULL)])
  assert.equal(transport.batches.length, 1)
  link.write(frame, '', [new Uint8Array(100)])
  // And what each of them takes beside its bytes.
  assert.equal(link.queuedBytes, frame.length + 300)
})

for (const pause of [1, 3, 100]) {
  test(`batches that wait stay at the size of a full one, with ${pause} a turn`, async () => {
    const { transport, link } = await busy()
    for (let i = 0; i < 100; i++) {
      link.write(event('e', 10_000))
      if (i % pause === 0) await turn()
    }
    for (let i = 0; i < 40; i++) if (transport.inFlight > 0) transport.acknowledge()
    assert.equal(link.queuedBytes, 0)
    for (const { text } of transport.batches) assert.ok(text.length < FULL + 11_000, `${text.length}`)
    assert.equal(words(transport).length, 100)
  })
}

test('with attachments a batch that waits grows to half a megabyte', async () => {
  const { transport, link } = await busy()
  const frame = eventFrame(ATTACHED, 20, 'a', '')
  for (let i = 0; i < 20; i++) link.write(frame, '', [new Uint8Array(65_536).fill(i)])
  while (transport.inFlight > 0) transport.acknowledge()
  assert.equal(link.queuedBytes, 0)
  const attachments = transport.batches.slice(2).map(({ attachments }) => attachments.map(([first]) => first))
  const numbers = Array.from({ length: 20 }, (_, i) => i)
  assert.deepEqual(attachments, [numbers.slice(0, 8), numbers.slice(8, 16), numbers.slice(16)])
})

test('queuedBytes is what waits here: nothing of it is on its way', async () => {
  const { transport, link } = await busy()
  assert.equal(link.queuedBytes, 0)
  const frame = event('a', 50)
  link.write(frame)
  assert.equal(link.queuedBytes, frame.length)
  await turn()
  assert.equal(link.queuedBytes, frame.length)
  transport.acknowledge()
  assert.equal(link.queuedBytes, 0)
})

test('above its mark it is over, at half of it it has drained: each is told once', async () => {
  const told: string[] = []
  const { transport, link } = await busy({
    highWaterMark: 200_000,
    onOver: () => told.push('over'),
    onDrain: () => told.push('drain'),
  })
  link.write(event('a', 150_000))
  assert.equal(link.over, false)
  link.write(event('b', 60_000))
  assert.equal(link.over, false)
  await turn()
  assert.equal(link.over, true)
  link.write(event('c', 70_000))
  link.write(event('d', 70_000))
  await turn()
  assert.deepEqual(told, ['over'])
  while (link.queuedBytes > 100_000) {
    assert.equal(link.over, true)
    assert.deepEqual(told, ['over'])
    transport.acknowledge()
  }
  assert.equal(link.over, false)
  assert.deepEqual(told, ['over', 'drain'])
  transport.acknowledgeAll()
  assert.deepEqual(told, ['over', 'drain'])
})

test('the mark may be changed', async () => {
  const { link } = await busy({ highWaterMark: 10 })
  link.highWaterMark = 1000
  link.write(event('a', 500))
  await turn()
  assert.equal(link.over, false)
  link.write(event('a', 600))
  await turn()
  assert.equal(link.over, true)
})

test('it is idle when nothing waits and nothing is on its way', async () => {
  const { transport, link } = open()
  await link.idle()
  let idle = 0
  const wait = () => link.idle().then(() => idle++)
  link.write(event('a'))
  wait()
  await turn()
  assert.equal(idle, 0)
  wait()
  link.write(event('b', 3 * FULL))
  link.write(event('c', 3 * FULL))
  while (transport.inFlight > 1) {
    transport.acknowledge()
    await turn()
  }
  assert.equal(idle, 0)
  transport.acknowledge()
  await turn()
  assert.equal(idle, 2)
})

test('a broken channel takes nothing, says so once and keeps nobody waiting', async () => {
  const errors: Error[] = []
  let drained = 0
  const { transport, link } = await busy({
    highWaterMark: 100,
    onBroken: (error) => errors.push(error),
    onDrain: () => drained++,
  })
  link.write(event('a', 2 * FULL))
  link.write(event('b', 50))
  assert.equal(link.over, true)
  const idle = link.idle()
  const error = new Error('The channel is gone')
  transport.acknowledge(error)
  await idle
  transport.acknowledge(new Error('and gone'))
  assert.deepEqual(errors, [error])
  assert.equal(link.queuedBytes, 0)
  assert.equal(link.over, false)
  assert.equal(drained, 1)
  link.write(event('c', 2 * FULL))
  link.write(event('d'))
  await turn()
  assert.equal(link.queuedBytes, 0)
  assert.deepEqual(words(transport), [])
  await link.idle()
})

test('it drops events oldest first, counts them, and keeps all else in order', async () => {
  const { transport, link } = await busy()
  for (let i = 0; i < 40; i++) {
    link.write(sender('a') + event(`e${i}`, 5000))
    link.write(sender('b') + request(`r${i}`, 100))
    if (i % 7 === 0) link.write(controlFrame('{}'))
  }
  await turn()
  const before = link.queuedBytes
  const dropped = link.dropEvents(100_000)
  assert.ok(link.queuedBytes <= 100_000)
  // Whole batches are thinned out: it may be one batch too many.
  assert.ok(link.queuedBytes > 100_000 - 2 * FULL, `${link.queuedBytes} of ${before}`)
  assert.ok(dropped > 0 && dropped < 40, `${dropped}`)
  while (transport.inFlight > 0) transport.acknowledge()
  assert.equal(link.queuedBytes, 0)
  const left = words(transport)
  assert.deepEqual(
    left.filter((word) => word.startsWith('request')),
    Array.from({ length: 40 }, (_, i) => `request:r${i}`),
  )
  assert.deepEqual(
    left.filter((word) => word.startsWith('event')),
    Array.from({ length: 40 - dropped }, (_, i) => `event:e${i + dropped}`),
  )
  assert.equal(left.filter((word) => word === 'control').length, 6)
  // Each still says who it is from.
  left.forEach((word, i) => {
    if (word.startsWith('request')) assert.equal(left[i - 1], 'sender:b')
    if (word.startsWith('event')) assert.equal(left[i - 1], 'sender:a')
  })
})

test('what it may drop is dropped from the open batch, too, and its bytes are counted', async () => {
  const { transport, link } = await busy()
  const kept = request('kept', 10)
  link.write(sender('a') + event('a', 500))
  link.write(eventFrame(ATTACHED, 20, 'b', ''), '', [new Uint8Array(1000)])
  link.write(kept)
  assert.equal(link.dropEvents(0), 2)
  assert.equal(link.queuedBytes, sender('a').length + kept.length)
  assert.equal(link.atBatchStart, true)
  assert.equal(link.dropEvents(0), 0)
  transport.acknowledge()
  assert.equal(link.queuedBytes, 0)
  assert.deepEqual(words(transport), ['sender:a', 'request:kept'])
  assert.deepEqual(transport.batches.at(-1)?.attachments, [])
})

test('nothing is dropped while no more than that waits', async () => {
  const { transport, link } = await busy()
  link.write(event('a', 100))
  assert.equal(link.dropEvents(1000), 0)
  transport.acknowledge()
  assert.deepEqual(words(transport), ['event:a'])
})

test('dropping is no progress: the link stays over until what waits has left', async () => {
  let drained = 0
  const { transport, link } = await busy({ highWaterMark: 1000, onDrain: () => drained++ })
  link.write(event('a', 2000))
  await turn()
  link.dropEvents(0)
  assert.equal(link.queuedBytes, 0)
  assert.equal(link.over, true)
  assert.equal(drained, 0)
  link.write(event('b', 10))
  transport.acknowledge()
  await turn()
  assert.equal(link.over, false)
  assert.equal(drained, 1)
})

test('dropping again and again leaves all else once and in order, while batches leave in between', async () => {
  const { transport, link } = await busy()
  let dropped = 0
  for (let i = 0; i < 20; i++) {
    link.write(request(`r${i}`, 40_000))
    await turn()
    link.write(event(`e${i}`, 100))
    dropped += link.dropEvents(1)
    if (i % 3 === 0) transport.acknowledge()
    await turn()
  }
  while (transport.inFlight > 0) {
    transport.acknowledge()
    await turn()
  }
  const left = words(transport)
  assert.deepEqual(
    left.filter((word) => word.startsWith('request')),
    Array.from({ length: 20 }, (_, i) => `request:r${i}`),
  )
  assert.equal(dropped + left.filter((word) => word.startsWith('event')).length, 20)
  assert.ok(dropped > 0)
})

test('dropping goes over what waits once, and not again for each new event', async () => {
  const { transport, link } = await busy()
  // How often the link has looked at each batch: it cannot do so without asking how large its attachment is.
  const looks: number[] = []
  const attachment = (n: number): Uint8Array => {
    const bytes = new Uint8Array(10)
    looks[n] = 0
    return Object.defineProperty(bytes, 'byteLength', {
      get() {
        looks[n] = (looks[n] as number) + 1
        return 10
      },
    })
  }
  const rounds = 200
  let dropped = 0
  for (let n = 0; n < rounds; n++) {
    // Of either size: one that fills a batch by itself, and one that waits in the open batch.
    const text = 'x'.repeat(n % 2 === 0 ? FULL : 10)
    link.write(requestFrame(ATTACHED, 20, 1, 0, 0, 'r', text), '', [attachment(n)])
    link.write(event('e', 100))
    await turn()
    dropped += link.dropEvents(0)
    // Something leaves now and then.
    if (n % 10 === 0) transport.acknowledge()
  }
  assert.equal(dropped, rounds)
  assert.ok(link.queuedBytes > (rounds / 3) * FULL)
  // The oldest that wait were there in most rounds, the newest in one.
  const [most, newest] = [Math.max(...looks), looks.at(-1) as number]
  assert.ok(newest > 0, 'they are counted')
  assert.ok(most <= newest + 3, `${most} looks at one of them, ${newest} at the newest`)
})

test('a link that was relieved of all that waited drains, though nothing is left to send', async () => {
  let drained = 0
  const { transport, link } = await busy({ highWaterMark: 1000, onDrain: () => drained++ })
  link.write(event('a', 2000))
  await turn()
  assert.equal(link.over, true)
  link.dropEvents(0)
  transport.acknowledgeAll()
  await turn()
  assert.equal(link.over, false)
  assert.equal(drained, 1)
})

test('what is written ahead passes all that waits, and leaves its order alone', async () => {
  const { transport, link } = await busy()
  link.write(event('a') + event('b'))
  await turn()
  link.writeAhead(controlFrame('{}'))
  assert.deepEqual(words(transport), ['control'])
  while (transport.inFlight > 0) {
    transport.acknowledge()
    await turn()
  }
  assert.deepEqual(words(transport), ['control', 'event:a', 'event:b'])
})

test('atBatchStart tells whether the next frame begins a batch', async () => {
  const { transport, link } = await busy()
  assert.equal(link.atBatchStart, true)
  link.write(event('a'))
  assert.equal(link.atBatchStart, false)
  await turn()
  assert.equal(link.atBatchStart, false)
  transport.acknowledge()
  assert.equal(link.atBatchStart, true)
  link.write(event('b', 2 * FULL))
  assert.equal(link.atBatchStart, true)
})

/** A batch as it comes in from a channel: flat, and nobody else's. */
function parent(i: number): string {
  return Buffer.alloc(FULL, `${String(i).padStart(8, '0')} filler `).toString('latin1')
}

const COUNT = 1000

for (const [how, pause] of [
  ['one a turn', 1],
  ['many a turn', 50],
] as const) {
  test(`slices that wait do not keep their parents alive: ${how}`, async () => {
    const { link } = await busy({ highWaterMark: 1e9 })
    const before = await heap()
    for (let i = 0; i < COUNT; i++) {
      link.write(eventFrame(0, 20, 'e', '') + parent(i).substring(100, 200))
      if (i % pause === 0) await turn()
    }
    await turn()
    const used = (await heap()) - before
    // With their parents they would be 64 MiB.
    assert.ok(used < 4 << 20, `${(used / 2 ** 20).toFixed(1)} MiB for ${link.queuedBytes} bytes`)
    assert.ok(link.queuedBytes > COUNT * 100)
  })
}

test('attachments that wait do not keep the buffer alive that they were read with', async () => {
  const { link } = await busy({ highWaterMark: 1e9 })
  const before = await heap()
  for (let i = 0; i < COUNT; i++) {
    link.write(eventFrame(ATTACHED, 20, 'e', ''), '', [new Uint8Array(FULL).subarray(100, 200)])
    await turn()
  }
  const used = (await heap()) - before
  assert.ok(used < 4 << 20, `${(used / 2 ** 20).toFixed(1)} MiB for ${link.queuedBytes} bytes`)
})

test('what may wait as it is keeps its place in its turn', async () => {
  const { transport, link } = await busy()
  const attached = (name: string) => eventFrame(ATTACHED, 20, name, '')
  const names = ['a', 'b', 'c', 'd', 'e']
  for (const [i, name] of names.entries()) link.write(attached(name), '', [new Uint8Array([i])], i % 2 === 1)
  transport.acknowledgeAll()
  await turn()
  transport.acknowledgeAll()
  assert.deepEqual(
    words(transport),
    names.map((name) => `event:${name}`),
  )
  assert.deepEqual(
    transport.batches.flatMap(({ attachments }) => attachments).map(([first]) => first),
    [0, 1, 2, 3, 4],
  )
})

test('attachments that may wait as they are do, in order with others', async () => {
  const { transport, link } = await busy()
  const frame = eventFrame(ATTACHED, 20, 'e', '')
  const parts = [1, 2, 3].map((i) => new Uint8Array(FULL).fill(i).subarray(0, 100))
  for (const [i, part] of parts.entries()) {
    link.write(frame, '', [part], i === 1)
    await turn()
  }
  // What was copied does not see it.
  for (const part of parts) part.fill(9)
  transport.acknowledgeAll()
  const attachments = transport.batches.flatMap(({ attachments }) => attachments)
  assert.deepEqual(
    attachments.map(([first]) => first),
    [1, 9, 3],
  )
})

test.run()
