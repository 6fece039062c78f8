import { once } from 'node:events'
import type { PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { failure, linkOf, pidOf, until, withHub } from './conditions.js'

const exec = new URL('./workers/flow.js', import.meta.url)
const MARK = 128 * 1024
const text = 'x'.repeat(1000)
const never = Number.POSITIVE_INFINITY

/** Emits to a stopped member until the hub says to slow down, and still says so when all that moves has come to rest. */
async function fill(hub: PrimaryHub, id: string): Promise<number> {
  let sent = 0
  await until(async () => {
    for (let i = 0; i < 20; i++) hub.to(id).emit('item', ++sent, text)
    // So that it is the queue towards the member that is over, and not the one towards the hub.
    await hub.drained('other')
    if (hub.to(id).emit('item', ++sent, text)) return false
    for (let i = 0; i < 3; i++) await hub.to('other').request('echo', { n: 1 })
    return !hub.to(id).emit('item', ++sent, text)
  }, `the queue towards ${id} is over its mark`)
  return sent
}

function settled(promise: Promise<unknown>): () => boolean {
  let done = false
  promise.finally(() => {
    done = true
  })
  return () => done
}

const increasing = (numbers: number[]) => numbers.every((n, i) => i === 0 || n > (numbers[i - 1] as number))

test('emit returns false, whoever it is for, while the own outbox is over its mark; drained() waits for that', async () => {
  await withHub(
    {
      workers: [
        { id: 'consumer', exec },
        { id: 'producer', exec },
      ],
      highWaterMark: MARK,
    },
    async (hub) => {
      const flood = (await hub.to('producer').request('flood')) as {
        accepted: number
        queued: number
        elsewhere: boolean
      }
      assert.ok(flood.queued > MARK, `${flood.queued} bytes queued`)
      // Two batches are in Node's hands, and nothing else was accepted beyond the mark.
      assert.ok(flood.queued < MARK + 70_000, `${flood.queued} bytes queued`)
      assert.ok(flood.accepted < 400, `${flood.accepted} accepted`)
      assert.is(flood.elsewhere, false)
      assert.is(await hub.to('producer').request('emit-after-drained'), true)
    },
  )
})

test('emit returns false while the queue towards one of its targets is over its mark, and true for others', async () => {
  const workers = ['stopped', 'other'].map((id) => ({ id, exec }))
  await withHub({ workers, highWaterMark: MARK, slowAfter: never }, async (hub) => {
    const pid = pidOf(hub, 'stopped')
    process.kill(pid, 'SIGSTOP')
    try {
      const sent = await fill(hub, 'stopped')
      await hub.drained('other')
      assert.is(hub.to('other').emit('item', 1, text), true)
      assert.is(hub.to(['other', 'stopped']).emit('item', sent + 1), false)
      assert.is(hub.emit('item', sent + 2), false)
      assert.is(hub.broadcast('item', sent + 3), false)
      assert.ok(linkOf(hub, 'stopped').queuedBytes > MARK)

      const everybody = settled(hub.drained())
      const stopped = settled(hub.drained('stopped'))
      // What is asked later is answered for those who are not held back.
      for (let i = 0; i < 10; i++) await hub.drained(['other', 'primary'])
      assert.equal([everybody(), stopped()], [false, false])
      assert.is(linkOf(hub, 'stopped').slow, false)

      process.kill(pid, 'SIGCONT')
      await until(() => everybody() && stopped(), 'drained resolves')
      assert.ok(linkOf(hub, 'stopped').queuedBytes <= MARK)
      assert.is(hub.to('stopped').emit('item', sent + 4), true)
      const received = (await hub.to('stopped').request('received')) as number[]
      assert.is(received.length, sent + 4)
      assert.ok(increasing(received))
      assert.is(linkOf(hub, 'stopped').droppedEvents, 0)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
  })
})

test('drained() counts what was emitted in the same turn, however small the mark', async () => {
  const workers = ['stopped', 'other'].map((id) => ({ id, exec }))
  await withHub({ workers, highWaterMark: 2000, slowAfter: never }, async (hub) => {
    const pid = pidOf(hub, 'stopped')
    process.kill(pid, 'SIGSTOP')
    try {
      await fill(hub, 'stopped')
      process.kill(pid, 'SIGCONT')
      await hub.drained('stopped')
      process.kill(pid, 'SIGSTOP')
      let round: () => boolean
      let sent = 0
      do {
        for (let i = 0; i < 10; i++) hub.to('stopped').emit('item', ++sent, text)
        round = settled(hub.drained('stopped'))
        await hub.drained('other')
        await hub.drained('other')
        const { queuedBytes } = linkOf(hub, 'stopped')
        assert.is(round(), queuedBytes <= 2000, `${queuedBytes} bytes queued`)
      } while (round())
      process.kill(pid, 'SIGCONT')
      await until(round, 'drained resolves')
    } finally {
      process.kill(pid, 'SIGCONT')
    }
  })
})

test('a producer that heeds false loses nothing, and keeps the queues bounded', async () => {
  const workers = ['consumer', 'producer'].map((id) => ({ id, exec }))
  await withHub({ workers, highWaterMark: MARK, slowAfter: never }, async (hub) => {
    const pid = pidOf(hub, 'consumer')
    process.kill(pid, 'SIGSTOP')
    try {
      const count = 8000
      const paused = once(hub, 'paused')
      const produced = hub.to('producer').timeout(60_000).request('produce', { count, size: 1000, to: 'consumer' })
      let mostQueued = 0
      // It must not keep a test alive that has failed.
      const watch = setInterval(() => {
        mostQueued = Math.max(mostQueued, linkOf(hub, 'consumer').queuedBytes)
      }, 1).unref()
      await paused
      await until(() => linkOf(hub, 'consumer').queuedBytes > MARK, 'the queue fills')
      process.kill(pid, 'SIGCONT')
      const { pauses, mostQueued: mostOutbox } = (await produced) as { pauses: number; mostQueued: number }
      clearInterval(watch)
      assert.ok(pauses > 0)
      // Twice: the queue, and what was on its way when the word came to stop.
      assert.ok(mostQueued < 8 * MARK, `${mostQueued} bytes queued in the hub`)
      assert.ok(mostOutbox < 2 * MARK, `${mostOutbox} bytes queued in the producer`)
      const received = (await hub.to('consumer').request('received')) as number[]
      assert.is(received.length, count)
      assert.ok(increasing(received))
      assert.is(linkOf(hub, 'consumer').droppedEvents, 0)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
  })
})

test('a link that stays over its mark is slow: it holds nobody back, loses its oldest events, and keeps requests', async () => {
  const workers = ['stopped', 'other'].map((id) => ({ id, exec }))
  await withHub({ workers, highWaterMark: MARK, slowAfter: 200 }, async (hub) => {
    const pid = pidOf(hub, 'stopped')
    process.kill(pid, 'SIGSTOP')
    try {
      const slow = once(hub.lifecycle, 'slow')
      let sent = await fill(hub, 'stopped')
      const early = hub.to('stopped').request('echo', { n: 1 })
      const heldBack = hub.drained('stopped')
      const [member, { queuedBytes }] = await slow
      assert.is(member.id, 'stopped')
      assert.ok(queuedBytes > MARK / 2)
      await heldBack
      assert.equal(await hub.to('other').request('slow'), ['stopped'])
      assert.is(linkOf(hub, 'stopped').slow, true)

      const requests = [early]
      const first = sent + 1
      for (let turn = 0; turn < 50; turn++) {
        for (let i = 0; i < 50; i++) hub.to(['stopped', 'other']).emit('item', ++sent, text)
        if (turn % 10 === 0) requests.push(hub.to('stopped').request('echo', { n: turn }))
        await hub.drained()
        assert.is(hub.to('stopped').emit('item', ++sent, text), true)
      }
      const { droppedEvents, queuedBytes: bounded } = linkOf(hub, 'stopped')
      assert.ok(droppedEvents > 1000, `${droppedEvents} dropped`)
      assert.ok(bounded < 2 * MARK, `${bounded} bytes queued`)
      const others = (await hub.to('other').request('received')) as number[]
      assert.is(others.length, 2500)
      assert.ok(increasing(others))
      assert.is(others[0], first)

      process.kill(pid, 'SIGCONT')
      assert.equal(await Promise.all(requests), [1, 0, 10, 20, 30, 40])
      await until(() => !linkOf(hub, 'stopped').slow, 'the link is no longer slow')
      await hub.drained('stopped')
      const received = (await hub.to('stopped').request('received')) as number[]
      assert.is(received.length + linkOf(hub, 'stopped').droppedEvents, sent)
      // What Node held already when the worker stopped, then a gap, then all of the rest.
      const gaps = received.filter((n, i) => n !== (received[i - 1] ?? 0) + 1)
      assert.is(gaps.length, 1, `gaps before ${gaps}`)
      assert.is(received.at(-1), sent)
      // Nothing is dropped from here on.
      assert.is(hub.to('stopped').emit('item', ++sent), true)
      assert.is(((await hub.to('stopped').request('received')) as number[]).at(-1), sent)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
  })
})

test('a slow link whose events are all dropped is no longer slow as soon as it takes messages', async () => {
  const workers = ['stopped', 'other'].map((id) => ({ id, exec }))
  await withHub({ workers, highWaterMark: 1000, slowAfter: 50 }, async (hub) => {
    const pid = pidOf(hub, 'stopped')
    process.kill(pid, 'SIGSTOP')
    try {
      await until(async () => {
        for (let i = 0; i < 20; i++) hub.to('stopped').emit('item', i, text)
        await hub.drained('other')
        return linkOf(hub, 'stopped').slow
      }, 'the link is slow')
      // What is left speaks of the hub itself.
      assert.ok(linkOf(hub, 'stopped').queuedBytes < 500)
      process.kill(pid, 'SIGCONT')
      await until(() => !linkOf(hub, 'stopped').slow, 'the link is no longer slow')
    } finally {
      process.kill(pid, 'SIGCONT')
    }
  })
})

test('requests past maxQueueBytes are refused, and those before them are answered', async () => {
  const workers = ['stopped', 'other'].map((id) => ({ id, exec }))
  const maxQueueBytes = 1 << 20
  await withHub({ workers, highWaterMark: MARK, maxQueueBytes }, async (hub) => {
    const pid = pidOf(hub, 'stopped')
    process.kill(pid, 'SIGSTOP')
    try {
      const padding = 'x'.repeat(100_000)
      const outcomes: Promise<unknown>[] = []
      let refused: (Error & { code?: string }) | undefined
      for (let n = 0; n < 40 && !refused; n++) {
        const request = hub.to('stopped').request('echo', { n, padding })
        request.catch((error) => {
          refused = error
        })
        outcomes.push(request)
        await hub.drained('other')
      }
      assert.is(refused?.code, 'ERR_HUB_OVERLOADED')
      assert.match(refused?.message ?? '', /"echo" to "stopped".*full/)
      assert.ok(outcomes.length > 9)
      assert.ok(linkOf(hub, 'stopped').queuedBytes < maxQueueBytes + 250_000)
      assert.is(await hub.to('other').request('echo', { n: 7 }), 7)

      process.kill(pid, 'SIGCONT')
      outcomes.pop()
      assert.equal(await Promise.all(outcomes), [...outcomes.keys()])
      assert.is(await hub.to('stopped').request('echo', { n: 8 }), 8)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
  })
})

test('requests past maxQueueBytes in the own outbox are refused at once', async () => {
  await withHub({ workers: [{ id: 'other', exec }], highWaterMark: MARK, maxQueueBytes: 500_000 }, async (hub) => {
    const padding = 'x'.repeat(100_000)
    // In one turn: nothing leaves meanwhile but the batches that Node takes at once.
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) => hub.to('other').request('echo', { n, padding })),
    )
    const refused = outcomes.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[]
    assert.ok(refused.length > 5 && refused.length < 15, `${refused.length} refused`)
    for (const { reason } of refused) assert.is(reason.code, 'ERR_HUB_OVERLOADED')
    assert.match((await failure(Promise.reject(refused[0]?.reason))).message, /"echo" to "other".*bytes wait/)
    assert.is(await hub.to('other').request('echo', { n: 3 }), 3)
  })
})

test('Infinity means never and without bound, in every member', async () => {
  const options = { timeout: never, maxQueueBytes: never, maxHeldBytes: never, gracePeriod: never, slowAfter: never }
  await withHub({ workers: ['stopped', 'other'].map((id) => ({ id, exec })), ...options }, async (hub) => {
    assert.equal(await hub.to('other').request('ask', 'stopped'), 5)
    assert.equal(await hub.delegate('echo', { n: 6 }), 6)
  })
})

test.run()
