import { once } from 'node:events'
import net from 'node:net'
import type { HubError, HubOptions, PrimaryHub, SlowQueue } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { failure, linkOf, pidOf, until, withHub } from './conditions.js'

// Every queue of docs/limits.md that tells `slow`: filled past its bound, it does what stands there, counts it, and tells
// of it once, in every member.

const exec = new URL('./workers/flow.js', import.meta.url)
const text = 'x'.repeat(1000)
const MAX = 100_000

interface Filled {
  hub: PrimaryHub
  /** Calls that go on until the hub ends: how does not matter. */
  abandoned: Promise<unknown>[]
}

/** A hub of two workers, of which one looks on, and a queue that is filled meanwhile. */
function filled(queue: SlowQueue, id: string, options: HubOptions, fill: (filled: Filled) => Promise<void>) {
  test(`the queue "${queue}" at its bound: what becomes of more, its counters, and who is told`, async () => {
    const workers = ['full', 'witness'].map((worker) => ({ id: worker, exec }))
    const abandoned: Promise<unknown>[] = []
    const bounds = { highWaterMark: 10_000, maxQueueBytes: MAX, slowAfter: 600_000 }
    await withHub({ workers, ...bounds, ...options }, async (hub) => {
      const slow: unknown[] = []
      hub.lifecycle.on('slow', (member, info) => slow.push([member.id, info.queue, info.queuedBytes > 0]))
      await fill({ hub, abandoned })
      await until(() => slow.length > 0, 'the primary is told')
      assert.equal(slow, [[id, queue, true]])
      // It is a member's own, and told to it alone; anything else, to everybody.
      const seen = (await hub.to('witness').request('slow')) as string[]
      assert.equal(seen, queue === 'outbox' ? [] : [id])
    })
    await Promise.allSettled(abandoned)
  })
}

/** Emits until it is so, and never so much at a time that it would be the outbox that is full. */
async function emitUntil(hub: PrimaryHub, id: string, condition: () => boolean, what: string): Promise<void> {
  let sent = 0
  await until(async () => {
    for (let i = 0; i < 20; i++) hub.to(id).emit('item', ++sent, text)
    await hub.to('witness').request('echo', { n: sent })
    return condition()
  }, what)
}

/** Ten requests of a fifth of what may wait. Returns the errors of those that were refused at once. */
async function callFor20Kilobytes(hub: PrimaryHub, abandoned: Promise<unknown>[]): Promise<unknown[]> {
  const large = 'x'.repeat(MAX / 5)
  const codes: unknown[] = []
  for (let n = 0; n < 10; n++) {
    const call = hub.to('full').request('echo', { n, large })
    abandoned.push(call.then(undefined, ({ code }: HubError) => codes.push(code)))
    await hub.to('witness').request('echo', { n })
  }
  await until(() => codes.length > 0 && codes.length === linkOf(hub, 'full').refused, 'requests are refused')
  assert.equal([...new Set(codes)], ['ERR_HUB_OVERLOADED'])
  return codes
}

filled('outbox', 'primary', {}, async ({ hub }) => {
  const refusals: HubError[] = []
  for (let n = 0; n < 600; n++) {
    try {
      hub.emit('nobody listens', text)
    } catch (error) {
      refusals.push(error as HubError)
    }
  }
  assert.ok(refusals.length > 200 && refusals.every(({ code }) => code === 'ERR_HUB_OVERLOADED'))
  const { queuedBytes, refused } = hub.stats()
  assert.is(refused, refusals.length)
  assert.ok(queuedBytes > MAX && queuedBytes < MAX + 2000, `${queuedBytes} bytes`)
  await hub.drained('witness')
})

filled('link', 'full', {}, async ({ hub, abandoned }) => {
  const pid = pidOf(hub, 'full')
  process.kill(pid, 'SIGSTOP')
  try {
    await emitUntil(hub, 'full', () => linkOf(hub, 'full').slow, 'it is slow')
    const { droppedEvents, queuedBytes } = linkOf(hub, 'full')
    assert.ok(droppedEvents > 50, `${droppedEvents} dropped`)
    assert.ok(queuedBytes <= MAX + 2000, `${queuedBytes} bytes`)
    // Requests are not dropped, so they are what is refused.
    await callFor20Kilobytes(hub, abandoned)
  } finally {
    process.kill(pid, 'SIGCONT')
  }
})

const stays = { maxHeldBytes: MAX, backoff: { min: 600_000, max: 600_000 } }
filled('held', 'full', stays, async ({ hub, abandoned }) => {
  const left = once(hub.lifecycle, 'leave')
  process.kill(pidOf(hub, 'full'), 'SIGKILL')
  await left
  await emitUntil(hub, 'full', () => linkOf(hub, 'full').droppedEvents > 100, 'the oldest are dropped')
  const { held, queuedBytes } = linkOf(hub, 'full')
  assert.ok(held > 50 && held < 100 && queuedBytes <= MAX, `${held} of ${queuedBytes} bytes`)
  // Tasks take the place of events, until there are none any more.
  const outcomes = await callFor20Kilobytes(hub, abandoned)
  assert.ok(outcomes.length > 0 && outcomes.length < 9, `${outcomes.length} refused`)
})

filled('tasks', 'primary', { maxQueuedTasks: 10 }, async ({ hub, abandoned }) => {
  hub.handle('never', () => new Promise(() => {}), { concurrency: 1 })
  await hub.drained()
  for (let n = 0; n < 11; n++) abandoned.push(failure(hub.delegate('never')))
  await until(() => hub.stats().tasks?.queued === 10, 'they wait')
  const error = await failure(hub.delegate('never'))
  assert.is(error.code, 'ERR_HUB_OVERLOADED')
  assert.match(error.message, /10 tasks wait already \(maxQueuedTasks/)
  const { queued, queuedBytes = 0, refused } = hub.stats().tasks ?? {}
  assert.equal([queued, refused], [10, 1])
  assert.ok(queuedBytes > 0)
})

filled('connections', 'primary', {}, async ({ hub }) => {
  process.removeAllListeners('warning')
  const { port } = (await hub.listen({ port: 0, host: '127.0.0.1', maxWaiting: 2 })).address()
  const clients: net.Socket[] = []
  try {
    const received: string[] = []
    for (let n = 0; n < 3; n++) {
      const client = net.connect(port, '127.0.0.1').setEncoding('utf8')
      client.on('error', () => {})
      client.on('data', (data) => received.push(String(data)))
      client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
      clients.push(client)
      await until(() => (hub.stats().http?.waiting ?? 0) + (hub.stats().http?.rejected ?? 0) > n, 'it has come in')
    }
    await until(() => received.length > 0, 'the last one is refused')
    assert.match(received.join(), /^HTTP\/1\.1 503 .*Retry-After/s)
    const { waiting, rejected } = hub.stats().http ?? {}
    assert.equal([waiting, rejected], [2, 1])
  } finally {
    for (const client of clients) client.destroy()
  }
})

filled('recovery', 'primary', { recovery: { maxPackets: 20 } }, async ({ hub }) => {
  const io = attachSocketIo(new Server({ connectionStateRecovery: {} }), hub)
  for (let n = 0; n < 50; n++) io.emit('news', n)
  await until(() => (hub.stats().recovery?.droppedPackets ?? 0) > 0, 'the oldest are forgotten')
  await hub.drained()
  const { packets = 0, droppedPackets, bytes = 0 } = hub.stats().recovery ?? {}
  assert.equal([packets, droppedPackets], [20, 30])
  assert.ok(bytes > 0)
})

test.run()
