import { once } from 'node:events'
import type { PrimaryHub, SupervisionOptions, WorkerSpec } from 'hubwire'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { heap } from '../wire/heap.js'
import { linkOf, pidOf, until, withHub } from './conditions.js'

const exec = new URL('./workers/flow.js', import.meta.url)
const MARK = 128 * 1024
const COUNT = 20_000
/** On a busy machine others, too, may get nothing done for a while: they must not be taken for slow. */
const SLOW_AFTER = 1500
const OTHERS = ['consumer-1', 'consumer-2']
const PRODUCERS = ['producer-1', 'producer-2']

const workers = (options: SupervisionOptions = {}): WorkerSpec[] => [
  { id: 'stopped', role: 'consumer', exec, ...options },
  { role: 'consumer', count: 2, exec },
  { role: 'producer', count: 2, exec },
]

/** A flood of each producer to all consumers, as fast as `emit` lets it. */
function flood(hub: PrimaryHub, count = COUNT): Promise<{ pauses: number; mostQueued: number }[]> {
  const order = { count, size: 500, to: { role: 'consumer' } }
  return Promise.all(
    PRODUCERS.map(async (id) => {
      const done = await hub.to(id).timeout(Number.POSITIVE_INFINITY).request('produce', order)
      return done as { pauses: number; mostQueued: number }
    }),
  )
}

/** What a consumer has got, by producer. */
const received = (hub: PrimaryHub, id: string) => hub.to(id).request('received-by') as Promise<[string, number[]][]>

function assertInOrder(lists: [string, number[]][], id: string): void {
  for (const [from, numbers] of lists) {
    assert.ok(
      numbers.every((n, i) => i === 0 || n > (numbers[i - 1] as number)),
      `${id} got what ${from} sent out of order`,
    )
  }
}

async function assertGotAll(hub: PrimaryHub, id: string): Promise<void> {
  const lists = await received(hub, id)
  assert.equal(lists.map(([from]) => from).sort(), PRODUCERS)
  assert.is(linkOf(hub, id).droppedEvents, 0, id)
  for (const [from, numbers] of lists) {
    assert.is(numbers.length, COUNT, `${id} from ${from}`)
    assert.is(
      numbers.findIndex((n, i) => n !== i + 1),
      -1,
      `${id} from ${from}, in order`,
    )
  }
}

test('a stopped worker holds nobody back for longer than slowAfter, costs nobody else an event, and catches up', async () => {
  await withHub({ workers: workers(), highWaterMark: MARK, slowAfter: SLOW_AFTER }, async (hub) => {
    // What is made once, for a first flood, is not what this is about.
    await flood(hub, 100)
    await hub.drained()
    for (const id of ['stopped', ...OTHERS]) await hub.to(id).request('forget')
    const before = await heap()
    const pid = pidOf(hub, 'stopped')
    process.kill(pid, 'SIGSTOP')
    try {
      let mostQueued = 0
      const watch = setInterval(() => {
        mostQueued = Math.max(mostQueued, linkOf(hub, 'stopped').queuedBytes)
      }, 1).unref()
      const slow = once(hub.lifecycle, 'slow')
      const flooding = flood(hub)
      const [member, info] = await slow
      assert.equal([member.id, info.queue], ['stopped', 'link'])
      // It ends although the worker is still stopped: nobody waits for it any more.
      const producers = await flooding
      clearInterval(watch)
      await hub.drained()
      for (const id of OTHERS) await assertGotAll(hub, id)
      assert.ok(producers.every(({ mostQueued: most }) => most < 2 * MARK))
      // Of 20 MB nearly all has been dropped. What waits is bounded, and nothing else is kept.
      const { queuedBytes, droppedEvents, slow: isSlow } = linkOf(hub, 'stopped')
      assert.is(isSlow, true)
      assert.ok(mostQueued < 8 * MARK, `${mostQueued} bytes queued`)
      assert.ok(queuedBytes < 2 * MARK, `${queuedBytes} bytes queued`)
      assert.ok(droppedEvents > COUNT, `${droppedEvents} dropped`)
      const growth = (await heap()) - before
      assert.ok(growth < 16 * MARK, `the primary has grown by ${growth} bytes`)

      process.kill(pid, 'SIGCONT')
      await until(() => !linkOf(hub, 'stopped').slow, 'it is no longer slow')
      const lists = await received(hub, 'stopped')
      assertInOrder(lists, 'stopped')
      const got = lists.reduce((sum, [, numbers]) => sum + numbers.length, 0)
      assert.is(got + linkOf(hub, 'stopped').droppedEvents, PRODUCERS.length * COUNT)
      // The oldest went: the last of all is there.
      assert.ok(lists.some(([, numbers]) => numbers.at(-1) === COUNT))
    } finally {
      process.kill(pid, 'SIGCONT')
    }
  })
})

test('with hungAfter it is restarted, what was dropped stays counted, and nobody else lost anything', async () => {
  const options = {
    workers: workers({ hungAfter: 3 * SLOW_AFTER }),
    highWaterMark: MARK,
    slowAfter: SLOW_AFTER,
    backoff: { min: 1, max: 2 },
  }
  await withHub(options, async (hub) => {
    const hung: string[] = []
    hub.lifecycle.on('hung', ({ id }) => hung.push(id))
    process.kill(pidOf(hub, 'stopped'), 'SIGSTOP')
    const slow = once(hub.lifecycle, 'slow')
    const flooding = flood(hub)
    await slow
    await flooding
    const isBack = () =>
      hub.members.some((one) => one.id === 'stopped' && one.incarnation === 2 && one.state === 'ready')
    await until(isBack, 'it is back')
    assert.equal(hung, ['stopped'])
    await hub.drained()
    for (const id of OTHERS) await assertGotAll(hub, id)
    const { droppedEvents, slow: isSlow } = linkOf(hub, 'stopped')
    assert.ok(droppedEvents > 0, `${droppedEvents} dropped`)
    assert.is(isSlow, false)
    assertInOrder(await received(hub, 'stopped'), 'stopped')
    assert.is(await hub.to('stopped').request('echo', { n: 3 }), 3)
  })
})

test('a producer that heeds false keeps a slow consumer busy, and loses nothing', async () => {
  // However little of the machine the consumer gets: a second without any would make it slow, and rightly.
  const options = { workers: [{ id: 'consumer', exec, env: { WORK: '0.2' } }], slowAfter: 60_000 }
  await withHub(options, async (hub) => {
    const slow: string[] = []
    hub.lifecycle.on('slow', ({ id }) => slow.push(id))
    const text = 'x'.repeat(1000)
    let [pauses, dry, most] = [0, 0, 0]
    for (let n = 1; n <= 5000; n++) {
      if (hub.to('consumer').emit('item', n, text)) continue
      pauses++
      most = Math.max(most, hub.stats().queuedBytes + linkOf(hub, 'consumer').queuedBytes)
      await hub.drained('consumer')
      // There is still something to do when the producer goes on.
      if (linkOf(hub, 'consumer').queuedBytes === 0) dry++
    }
    assert.ok(pauses > 3, `${pauses} pauses`)
    assert.ok(dry <= pauses / 2, `idle after ${dry} of ${pauses} pauses`)
    assert.ok(most < 4 << 20, `${most} bytes queued`)
    assert.is(((await hub.to('consumer').request('received')) as number[]).length, 5000)
    assert.equal([slow, linkOf(hub, 'consumer').droppedEvents], [[], 0])
  })
})

test.run()
