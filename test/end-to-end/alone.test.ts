import cluster from 'node:cluster'
import { type EventEmitter, once } from 'node:events'
import { HubError, type PrimaryHub, startHub } from 'hubwire'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { failure, PrimaryProcess, until, withHub } from './conditions.js'

const alone = (run: (hub: PrimaryHub) => Promise<void>) => () => withHub({ workers: [] }, run)
const tick = () => new Promise<void>((resolve) => setImmediate(resolve))

test(
  'events reach the primary itself, later and cloned',
  alone(async (hub) => {
    const seen: unknown[] = []
    const article = { id: 1, tags: new Set(['a']) }
    hub.on('news', (received: typeof article) => seen.push(received))
    hub.onAny((event, args, { from }) => seen.push([event, args.length, from.id]))
    assert.is(hub.emit('news', article), true)
    article.id = 2
    assert.is(seen.length, 0)
    await until(() => seen.length === 2, 'the event')
    assert.equal(seen[0], ['news', 1, 'primary'])
    assert.equal(seen[1], { id: 1, tags: new Set(['a']) })
    assert.is.not(seen[1], article)

    hub.to('primary').emit('news', article)
    await until(() => seen.length === 4, 'an event to an id')
    // To everybody else: nobody.
    hub.broadcast('news', article)
    await hub.drained()
    await tick()
    assert.is(seen.length, 4)
    assert.match((await failure(() => hub.to('worker').emit('news'))).message, /"worker".*There are: "primary"/)
  }),
)

test(
  'once, off and events.once',
  alone(async (hub) => {
    const waiting = once(hub as unknown as EventEmitter, 'one')
    hub.emit('one', 1, 'x')
    assert.equal(await waiting, [1, 'x'])
    let count = 0
    const listener = () => count++
    hub.on('two', listener)
    hub.emit('two')
    await until(() => count === 1, 'heard')
    hub.off('two', listener)
    hub.emit('two')
    await hub.drained()
    await tick()
    assert.is(count, 1)
  }),
)

test(
  'tasks: request, delegate, gather, concurrency',
  alone(async (hub) => {
    let running = 0
    let most = 0
    const remove = hub.handle(
      'work',
      async (n: number, { from }) => {
        most = Math.max(most, ++running)
        await tick()
        running--
        return `${from.id} ${n}`
      },
      { concurrency: 2 },
    )
    assert.is(await hub.to('primary').request('work', 1), 'primary 1')
    assert.equal(
      await Promise.all(Array.from({ length: 10 }, (_, n) => hub.delegate('work', n))),
      Array.from({ length: 10 }, (_, n) => `primary ${n}`),
    )
    assert.is(most, 2)
    assert.equal(await hub.to(['primary']).gather('work', 3), [
      { id: 'primary', status: 'fulfilled', value: 'primary 3' },
    ])
    remove()
    for (const outcome of [hub.delegate('work', 1), hub.to('primary').request('work', 1)]) {
      assert.is((await failure(outcome)).code, 'ERR_HUB_NO_HANDLER')
    }
    hub.handle('work', () => {
      throw Object.assign(new RangeError('too far'), { code: 'E_FAR' })
    })
    const error = await failure(hub.delegate('work', 1))
    assert.equal(
      [error.name, error.message, error.code, error instanceof HubError],
      ['RangeError', 'too far', 'E_FAR', false],
    )
    assert.is((await failure(hub.to({ role: 'web' }).delegate('work', 1))).code, 'ERR_HUB_NO_MEMBER')
  }),
)

test(
  'timeouts and signals abort the handler',
  alone(async (hub) => {
    const reasons: string[] = []
    hub.handle('stuck', (_input, { signal }) => {
      signal.addEventListener('abort', () => reasons.push((signal.reason as HubError).code))
      return new Promise((resolve) => signal.addEventListener('abort', resolve))
    })
    assert.is((await failure(hub.timeout(20).delegate('stuck'))).code, 'ERR_HUB_TIMEOUT')
    const controller = new AbortController()
    const stuck = hub.signal(controller.signal).to('primary').request('stuck')
    await until(() => hub.stats().runningTasks > 0, 'the second runs')
    controller.abort(new Error('enough'))
    const error = await failure(stuck)
    assert.equal([error.code, (error.cause as Error).message], ['ERR_HUB_ABORTED', 'enough'])
    await until(() => reasons.length === 2, 'both are aborted')
    await until(() => hub.stats().runningTasks === 0, 'nothing runs')
  }),
)

test(
  'who is there',
  alone(async (hub) => {
    assert.equal([hub.id, hub.role], ['primary', undefined])
    await until(() => hub.members[0]?.state === 'ready', 'the primary is ready')
    assert.equal(hub.members, [{ id: 'primary', role: undefined, pid: process.pid, incarnation: 1, state: 'ready' }])
    assert.equal(
      hub.stats().links?.map(({ id, state, droppedEvents }) => ({ id, state, droppedEvents })),
      [{ id: 'primary', state: 'ready', droppedEvents: 0 }],
    )
  }),
)

test(
  'asking oneself again and again leaves the event loop its turns',
  alone(async (hub) => {
    hub.handle('more', (n: number) => n + 1)
    let turns = 0
    let asking = true
    const count = () => {
      turns++
      if (asking) setImmediate(count)
    }
    setImmediate(count)
    for (let n = 0; n < 50; n++) await hub.to('primary').request('more', n)
    asking = false
    assert.ok(turns > 50, `${turns} turns`)
  }),
)

test('ready: manual holds what is sent to the primary', async () => {
  await withHub({ ready: 'manual' }, async (hub) => {
    const seen: number[] = []
    hub.emit('early', 1)
    const answer = hub.delegate('late', 2)
    for (let i = 0; i < 5; i++) await tick()
    hub.on('early', (n: number) => seen.push(n))
    hub.handle('late', (n: number) => n * 2)
    for (let i = 0; i < 5; i++) await tick()
    assert.equal(seen, [])
    hub.ready()
    assert.is(await answer, 4)
    assert.equal(seen, [1])
  })
})

test('close answers what runs, refuses what comes later, and can be called again', async () => {
  const hub = await startHub()
  let finish = () => {}
  hub.handle(
    'slow',
    () =>
      new Promise<string>((resolve) => {
        finish = () => resolve('done')
      }),
  )
  const seen: number[] = []
  hub.on('last', (n: number) => seen.push(n))
  const slow = hub.delegate('slow')
  await until(() => hub.stats().runningTasks === 1, 'it runs')
  hub.emit('last', 1)
  const closing = hub.close()
  finish()
  assert.is(await slow, 'done')
  await Promise.all([closing, hub.close()])
  assert.equal(seen, [1])
  for (const late of [
    () => hub.emit('last', 2),
    () => hub.broadcast('last', 2),
    () => hub.to('primary').emit('last', 2),
    () => hub.delegate('slow'),
    () => hub.to('primary').request('slow'),
    () => hub.handle('another', () => 1),
    () => hub.drained(),
    () => hub.ready(),
    () => hub.fork({ id: 'x', exec: process.argv[1] as string }),
  ]) {
    assert.is((await failure(late)).code, 'ERR_HUB_CLOSED', String(late))
  }
  // Another may follow.
  await (await startHub()).close()
})

test('nothing is left on process and cluster', async () => {
  const count = () =>
    [process, cluster].map((emitter: EventEmitter) =>
      Object.fromEntries(emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)])),
    )
  const before = count()
  const settings = { ...cluster.settings }
  const hub = await startHub({ workers: [] })
  assert.is(process.listenerCount('SIGINT'), (before[0]?.SIGINT ?? 0) + 1)
  await hub.delegate('nothing').catch(() => {})
  await hub.close()
  assert.equal(count(), before)
  assert.equal({ ...cluster.settings }, settings)
})

test('the process ends by itself', async () => {
  const primary = new PrimaryProcess('alone')
  try {
    assert.equal(await primary.ended, [0, null])
    assert.is(primary.stdout, '42\nclosed\n')
    assert.is(primary.stderr, '')
  } finally {
    primary.end()
  }
})

test.run()
