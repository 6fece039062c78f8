import assert from 'node:assert/strict'
import type { PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import { DOWN, have, isPending, link, rejection, server, state, until, withHub } from './hubs.js'
import type { Order } from './workers/library.js'

// Delegation: the hub chooses who does a task, and lets it wait for a handler with room.

const sorted = (list: readonly unknown[]) => [...list].sort()
const queued = (hub: PrimaryHub, id: string) => link(hub, id).queuedTasks

test('a task goes to the member with least outstanding, whatever it is busy with and for whom', () =>
  withHub(
    {
      workers: [server('caller'), server('a', ['gate', 'hang']), server('b', ['gate', 'hang']), server('c', ['gate'])],
    },
    async (hub, { begun }) => {
      const controller = new AbortController()
      const busy = [
        hub.signal(controller.signal).to('a').request('hang', 0),
        hub.signal(controller.signal).to('a').request('hang', 1),
        hub.signal(controller.signal).to('b').request('hang', 2),
      ].map(rejection)
      await until(() => begun.length === 3, 'a is busy, b less')
      const calls = [0, 1, 2, 3, 4, 5].map((key) =>
        have(hub, key % 2 ? 'primary' : 'caller', { verb: 'delegate', task: 'gate', input: key }),
      )
      await until(() => begun.length === 9, 'all have begun')
      assert.deepEqual(
        ['a', 'b', 'c'].map((id) => begun.filter((entry) => entry.id === id).length),
        [3, 3, 3],
      )
      for (const key of [0, 1, 2, 3, 4, 5]) hub.emit('open', key)
      await Promise.all(calls)
      controller.abort()
      await Promise.all(busy)
    },
  ))

test('concurrency holds over requests and delegations together; the rest waits in the hub, in order', () =>
  withHub({ workers: [server('caller'), server('a', ['gate=2'])] }, async (hub, { begun }) => {
    const orders: [string, Order][] = [
      ['primary', { verb: 'request', to: 'a' }],
      ['caller', { verb: 'delegate' }],
      ['primary', { verb: 'delegate' }],
      ['caller', { verb: 'request', to: 'a' }],
      ['caller', { verb: 'delegate' }],
      ['primary', { verb: 'request', to: 'a' }],
    ]
    const calls: ReturnType<typeof have>[] = []
    for (const [key, [caller, order]] of orders.entries()) {
      calls.push(have(hub, caller, { ...order, task: 'gate', input: key }))
      // Between different senders there is no order, unless one is sent after the other is there.
      await have(hub, caller, { verb: 'drained' })
      if (key < 2) await until(() => begun.length === key + 1, 'it has begun')
    }
    assert.equal(link(hub, 'a').runningTasks, 2)
    assert.equal(queued(hub, 'a'), 2, 'those that are for this member alone')
    for (const key of orders.keys()) {
      assert.ok(begun.length <= key + 2)
      hub.emit('open', key)
      assert.deepEqual(await calls[key], { value: `a:${key}` })
      await until(() => begun.length === Math.min(6, key + 3), 'the next has begun')
    }
    assert.deepEqual(
      begun.map(({ key }) => key),
      [0, 1, 2, 3, 4, 5],
    )
  }))

test('the hub’s queue is bounded: what is too much is refused at once', () =>
  withHub({ workers: [server('caller'), server('a', ['gate=1'])], maxQueuedTasks: 2 }, async (hub, { begun }) => {
    const first = hub.delegate('gate', 0)
    await until(() => begun.length === 1, 'a is full')
    const waiting = [hub.to('a').request('gate', 1), hub.delegate('gate', 2)]
    await until(() => queued(hub, 'a') === 1, 'the request waits')
    await hub.drained()
    for (const caller of ['primary', 'caller']) {
      for (const order of [{ verb: 'request', to: 'a' }, { verb: 'delegate' }] as Order[]) {
        const { error } = await have(hub, caller, { ...order, task: 'gate', input: 9 })
        assert.deepEqual([error?.code, error?.hub], ['ERR_HUB_OVERLOADED', true])
        assert.match(
          error?.message as string,
          /"gate".*: refused, because 2 tasks wait already.*Send less at a time, or add/,
        )
      }
    }
    for (const key of [0, 1, 2]) hub.emit('open', key)
    assert.deepEqual(await Promise.all([first, ...waiting]), ['a:0', 'a:1', 'a:2'])
    const { error } = await have(hub, 'caller', { verb: 'delegate', task: 'gate', input: 2 })
    assert.equal(error, undefined, 'there is room again')
  }))

for (const [what, workers, own] of [
  ['a worker', [server('caller', ['flood']), server('b', ['flood']), server('s', ['log=1', 'logged'])], ['flood']],
  ['the primary', [server('caller', ['flood']), server('b', ['flood'])], ['flood', 'log=1', 'logged']],
  ['one of the callers', [server('caller', ['flood', 'log=1', 'logged']), server('b', ['flood'])], ['flood']],
] as const) {
  test(`each caller's tasks are done in order with concurrency 1, when the only server is ${what}`, () =>
    withHub(
      { workers },
      async (hub) => {
        const count = 300
        const done = await Promise.all(
          ['primary', 'caller', 'b'].map((id) => hub.to(id).request('flood', { task: 'log', count })),
        )
        assert.deepEqual(done, [true, true, true])
        const logged: { from: string; n: number; most: number }[] = await hub.delegate('logged')
        assert.equal(logged.length, 3 * count)
        assert.ok(
          logged.every(({ most }) => most === 1),
          'one at a time',
        )
        for (const id of ['primary', 'caller', 'b']) {
          assert.deepEqual(
            logged.filter(({ from }) => from === id).map(({ n }) => n),
            Array.from({ length: count }, (_, n) => n),
            id,
          )
        }
      },
      own,
    ))
}

test('no more than its concurrency run in a handler, and as many do', () =>
  withHub({ workers: [server('caller', ['flood']), server('a', ['log=3', 'logged'])] }, async (hub) => {
    assert.equal(await hub.to('caller').request('flood', { task: 'log', count: 500 }), true)
    const logged: { most: number }[] = await hub.delegate('logged')
    assert.equal(Math.max(...logged.map(({ most }) => most)), 3)
  }))

test('members that serve the task later take their share of what waits and of what comes', () =>
  withHub(
    { workers: [server('a', ['gate=1']), server('b', ['serve more'])] },
    async (hub, { begun }) => {
      const calls = [0, 1, 2, 3].map((key) => hub.delegate('gate', key))
      await until(() => begun.length === 1, 'a is full')
      await hub.to('b').request('serve more', ['gate=1'])
      await until(() => begun.length === 2, 'b takes one')
      await hub.fork(server('c', ['gate=1']))
      await until(() => begun.length === 3, 'c takes one')
      hub.handle('gate', (key: number) => `primary:${key}`)
      await until(() => link(hub, 'primary').runningTasks === 0, 'the primary takes the last')
      assert.equal(await calls[3], 'primary:3')
      assert.deepEqual(
        begun.map(({ id, key }) => [id, key]),
        [
          ['a', 0],
          ['b', 1],
          ['c', 2],
        ],
      )
      for (const key of [0, 1, 2]) hub.emit('open', key)
      assert.deepEqual(await Promise.all(calls.slice(0, 3)), ['a:0', 'b:1', 'c:2'])
      const share = await Promise.all(Array.from({ length: 40 }, () => hub.delegate('gate', 0)))
      for (const id of ['a', 'b', 'c', 'primary']) assert.ok(share.includes(`${id}:0`), id)
    },
    [],
  ))

test('when a member stops serving, what waits goes to others, or is answered when there are none', () =>
  withHub(
    { workers: [server('a', ['gate=1', 'serve less']), server('b', ['gate=1', 'serve less'])] },
    async (hub, { begun }) => {
      const calls = [0, 1, 2, 3].map((key) => hub.delegate('gate', key))
      await until(() => begun.length === 2, 'both are full')
      const direct = hub.to('a').request('gate', 4)
      await until(() => queued(hub, 'a') === 1, 'it waits for a')
      await hub.to('a').request('serve less', ['gate'])
      const refused = await rejection(direct)
      assert.equal(refused.code, 'ERR_HUB_NO_HANDLER')
      assert.match(refused.message, /^Request "gate" to "a": it does not serve this task/)

      const key = begun.find(({ id }) => id === 'b')?.key
      const other = begun.find(({ id }) => id === 'a')?.key
      hub.emit('open', other)
      assert.equal(await calls[other as number], `a:${other}`, 'what runs goes on')
      hub.emit('open', key)
      await until(() => begun.length === 3, 'b goes on')
      assert.deepEqual(begun[2], { id: 'b', key: 2, from: 'primary' })
      await hub.to('b').request('serve less', ['gate'])
      assert.equal((await rejection(calls[3] as Promise<unknown>)).code, 'ERR_HUB_NO_HANDLER')
      hub.emit('open', 2)
      assert.equal(await calls[2], 'b:2')
      await calls[key as number]
    },
  ))

test('a delegation within a role stays within it', () =>
  withHub(
    {
      workers: [
        server('in-1', ['gate=1', 'who'], { role: 'in' }),
        server('in-2', ['gate=1', 'who'], { role: 'in' }),
        server('out-1', ['gate=1', 'who'], { role: 'out' }),
        server('alone', ['gate=1', 'who']),
      ],
    },
    async (hub, { begun }) => {
      const within = hub.to({ role: 'in' })
      const calls = [0, 1, 2].map((key) => within.delegate('gate', key))
      await until(() => begun.length === 2, 'the role is full')
      assert.deepEqual(sorted(begun.map(({ id }) => id)), ['in-1', 'in-2'])
      const anywhere = [3, 4].map((key) => hub.delegate('gate', key))
      await until(() => begun.length === 4, 'others have room')
      assert.ok(await isPending(calls[2] as Promise<unknown>, hub), 'but not for this')
      for (const key of [3, 4, 0, 1, 2]) hub.emit('open', key)
      const answers = await Promise.all(calls)
      for (const answer of answers) assert.match(answer, /^in-/)
      for (const answer of await Promise.all(anywhere)) assert.match(answer, /^(out-1|alone):/)
      const chosen = await Promise.all(Array.from({ length: 20 }, () => within.delegate('who')))
      assert.deepEqual(sorted([...new Set(chosen)]), ['in-1', 'in-2'])
    },
  ))

test('a cancelled task frees its place only when its handler ends', () =>
  withHub({ workers: [server('a', ['gate=1'])] }, async (hub, { begun, aborted }) => {
    const controller = new AbortController()
    const first = rejection(hub.signal(controller.signal).delegate('gate', 'first'))
    await until(() => begun.length === 1, 'it has begun')
    const second = hub.delegate('gate', 'second')
    controller.abort()
    assert.equal((await first).code, 'ERR_HUB_ABORTED')
    await until(() => aborted.length === 1, 'the handler knows')
    assert.ok(await isPending(second, hub))
    assert.equal(link(hub, 'a').runningTasks, 1)
    assert.equal(begun.length, 1, 'its place is taken')
    hub.emit('open', 'first')
    await until(() => begun.length === 2, 'now there is room')
    hub.emit('open', 'second')
    assert.equal(await second, 'a:second')
  }))

test('what is cancelled while it waits is never done, and does not hold up the others', () =>
  withHub({ workers: [server('a', ['gate=1'])] }, async (hub, { begun }) => {
    const first = hub.delegate('gate', 0)
    await until(() => begun.length === 1, 'it has begun')
    const impatient = [1, 2, 3].map((key) => rejection(hub.timeout(20).delegate('gate', key)))
    const direct = rejection(hub.timeout(20).to('a').request('gate', 4))
    const last = hub.delegate('gate', 5)
    for (const error of await Promise.all([...impatient, direct])) assert.equal(error.code, 'ERR_HUB_TIMEOUT')
    hub.emit('open', 0)
    hub.emit('open', 5)
    assert.deepEqual(await Promise.all([first, last]), ['a:0', 'a:5'])
    assert.deepEqual(
      begun.map(({ key }) => key),
      [0, 5],
    )
  }))

test('when a server is killed, what waits goes to the others; only what it worked on is lost', () =>
  withHub(
    { workers: [server('caller'), server('a', ['gate=1', 'kill'], DOWN), server('b', ['gate=1'])] },
    async (hub, { begun }) => {
      const calls = [0, 1, 2, 3, 4, 5].map((key) =>
        have(hub, key % 2 ? 'caller' : 'primary', { verb: 'delegate', task: 'gate', input: key }),
      )
      await until(() => begun.length === 2, 'both are full')
      const lost = begun.find(({ id }) => id === 'a')?.key
      await rejection(hub.to('a').request('kill'))
      for (const key of [0, 1, 2, 3, 4, 5]) hub.emit('open', key)
      for (const [key, { value, error }] of (await Promise.all(calls)).entries()) {
        if (key === lost) assert.equal(error?.code, 'ERR_HUB_MEMBER_EXITED')
        else assert.equal(value, `b:${key}`)
      }
      assert.equal(begun.length, 6, 'and nothing is done twice')
    },
  ))

test('requests that wait for a seat survive its restart, in order', () =>
  withHub({ workers: [server('a', ['gate=1', 'kill'], DOWN)] }, async (hub, { begun }) => {
    const first = hub.retry(1).to('a').request('gate', 0)
    await until(() => begun.length === 1, 'it has begun')
    const before = [1, 2].map((key) => hub.to('a').request('gate', key))
    await until(() => queued(hub, 'a') === 2, 'they wait')
    await rejection(hub.to('a').request('kill'))
    await until(() => state(hub, 'a') === 'restarting', 'it is down')
    const after = [3, 4].map((key) => hub.to('a').request('gate', key))
    await until(() => link(hub, 'a').held === 2, 'they are held')
    await hub.restart('a')
    for (const key of [4, 3, 2, 1, 0]) hub.emit('open', key)
    assert.deepEqual(
      await Promise.all([first, ...before, ...after]),
      [0, 1, 2, 3, 4].map((key) => `a:${key}`),
    )
    assert.deepEqual(
      begun.map(({ key }) => key),
      [0, 0, 1, 2, 3, 4],
    )
  }))

test('a member that is stopped finishes what it works on; what waits goes to the others', () =>
  withHub({ workers: [server('a', ['permitted=1']), server('b', ['permitted=1'])] }, async (hub, { begun }) => {
    const permits: (() => void)[] = []
    hub.handle('permit', () => new Promise<void>((resolve) => permits.push(resolve)))
    const calls = [0, 1, 2, 3].map((key) => hub.delegate('permitted', key))
    await until(() => begun.length === 2, 'both are full')
    const direct = rejection(hub.to('a').request('permitted', 4))
    await until(() => queued(hub, 'a') === 1, 'it waits for a')
    const key = begun.find(({ id }) => id === 'a')?.key as number
    const stopped = hub.stop('a')
    await until(() => state(hub, 'a') === 'stopping', 'it is being stopped')
    for (let given = 0; given < 4; given++) {
      await until(() => permits.length > given, 'somebody asks')
      permits[given]?.()
    }
    assert.equal(await calls[key], `a:${key}`)
    for (const [each, call] of calls.entries()) if (each !== key) assert.equal(await call, `b:${each}`)
    await stopped
    const error = await direct
    assert.equal(error.code, 'ERR_HUB_MEMBER_EXITED')
    assert.match(error.message, /"a" was stopped/)
  }))

test('closing the hub answers what it had accepted', async () => {
  let calls: Promise<unknown>[] = []
  await withHub({ workers: [server('a', ['gate=1'])] }, async (hub, { begun }) => {
    const probe = hub.delegate('gate', -1)
    await until(() => begun.length === 1, 'a is full')
    calls = [0, 1, 2].map((key) => hub.delegate('gate', key))
    await hub.drained()
    for (const key of [-1, 0, 1, 2]) hub.emit('open', key)
    const closing = hub.close()
    assert.equal(await probe, 'a:-1')
    await closing
    assert.deepEqual(await Promise.all(calls), ['a:0', 'a:1', 'a:2'])
  })
})

test('what a member sends to itself keeps its order, waiting or not', () =>
  withHub({ workers: [{ id: 'self', exec: new URL('./workers/selfish.js', import.meta.url) }] }, async (hub) => {
    const count = 400
    const { seen, failed } = await hub.to('self').request('go', count)
    assert.equal(failed, 0)
    const ticks = (seen as (string | number)[]).filter((entry) => Number.isInteger(entry))
    assert.deepEqual(
      ticks,
      Array.from({ length: count }, (_, n) => n),
    )
    const notes = (seen as (string | number)[]).filter((entry) => typeof entry === 'string')
    assert.equal(notes.length, count)
    // Every request comes after the events that were sent before it, and requests come in order.
    const last = { delegated: -1, requested: -1 }
    let ticked = -1
    for (const entry of seen as (string | number)[]) {
      if (typeof entry === 'number') {
        if (Number.isInteger(entry)) ticked = entry
        continue
      }
      const n = Number(entry)
      const kind = n % 5 === 0 ? 'delegated' : 'requested'
      assert.ok(n > last[kind], `${kind} ${n} after ${last[kind]}`)
      last[kind] = n
      assert.ok(ticked >= n, `event ${n} came before request ${n}`)
    }
  }))

test.run()
