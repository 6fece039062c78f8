import { once } from 'node:events'
import { type LifecycleEvents, type PrimaryHub, startHub } from 'hubwire'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { alive, failure, pidOf, until, withHub } from './conditions.js'

const exec = new URL('./workers/life.js', import.meta.url)
const EVENTS = ['join', 'leave', 'restart', 'give-up', 'hung'] as const
const backoff = { min: 20, max: 80 }

interface Entry {
  event: keyof LifecycleEvents
  id: string
  incarnation: number
  [info: string]: unknown
}

function keepDiary(hub: PrimaryHub): Entry[] {
  const diary: Entry[] = []
  for (const event of EVENTS) {
    hub.lifecycle.on(event, ({ id, incarnation }: { id: string; incarnation: number }, info?: object) => {
      diary.push({ event, id, incarnation, ...info })
    })
  }
  return diary
}

const member = (hub: PrimaryHub, id: string) => hub.members.find((one) => one.id === id)
const works = (hub: PrimaryHub, id: string) =>
  until(() => hub.stats().links?.find((link) => link.id === id)?.runningTasks === 1, `${id} works`)
const ready = (hub: PrimaryHub, id: string, incarnation: number) =>
  until(
    () => member(hub, id)?.state === 'ready' && member(hub, id)?.incarnation === incarnation,
    `${id} is ready in incarnation ${incarnation}`,
  )

test('a worker that crashes or is killed is replaced, and everybody is told', async () => {
  await withHub({ workers: ['a', 'b'].map((id) => ({ id, exec })), backoff }, async (hub) => {
    // Joins at the start may still be on their way.
    await hub.drained()
    const diary = keepDiary(hub)
    const first = pidOf(hub, 'a')
    const error = await failure(hub.to('a').request('exit', { code: 3 }))
    assert.is(error.code, 'ERR_HUB_MEMBER_EXITED')
    assert.match(error.message, /"exit" to "a".*exit code 3/)
    await ready(hub, 'a', 2)
    const second = pidOf(hub, 'a')
    assert.is.not(second, first)
    process.kill(second, 'SIGKILL')
    await ready(hub, 'a', 3)
    assert.is(await hub.to('a').request('ping'), 'pong')

    const expected = [
      ['leave', 1, { code: 3, signal: null }],
      ['restart', 1, { code: 3, signal: null }],
      ['join', 2, undefined],
      ['leave', 2, { code: null, signal: 'SIGKILL' }],
      ['restart', 2, { code: null, signal: 'SIGKILL' }],
      ['join', 3, undefined],
    ]
    const summary = (entries: Entry[]) =>
      entries
        .filter(({ id, event, incarnation }) => id === 'a' && !(event === 'join' && incarnation === 1))
        .map(({ event, incarnation, exit, code, signal }) => [
          event,
          incarnation,
          exit ?? (event === 'leave' ? { code, signal } : undefined),
        ])
    await until(() => diary.filter(({ event }) => event === 'join').length >= 2, 'all is told')
    assert.equal(summary(diary), expected)
    assert.equal(summary((await hub.to('b').request('diary')) as Entry[]), expected)
    const restarts = diary.filter(({ event }) => event === 'restart') as unknown as { attempt: number; delay: number }[]
    assert.equal(
      restarts.map(({ attempt }) => attempt),
      [1, 2],
    )
    // Doubling, with jitter below.
    const [one, two] = restarts.map(({ delay }) => delay) as [number, number]
    assert.ok(one >= 20 && one <= 40 && two >= 40 && two <= 80, `${one} ms, ${two} ms`)
  })
})

test('restart: always, on-failure, never', async () => {
  const workers = [
    { id: 'always', exec },
    { id: 'on-failure', exec, restart: 'on-failure' as const },
    { id: 'never', exec, restart: 'never' as const },
  ]
  await withHub({ workers, backoff }, async (hub) => {
    const exit = (id: string, code: number) => failure(hub.to(id).request('exit', { code }))
    await Promise.all([exit('always', 0), exit('on-failure', 1), exit('never', 1)])
    await ready(hub, 'always', 2)
    await ready(hub, 'on-failure', 2)
    await until(() => member(hub, 'never')?.state === 'stopped', 'never again')
    await exit('on-failure', 0)
    await until(() => member(hub, 'on-failure')?.state === 'stopped', 'it meant to end')
    assert.is((await failure(hub.to('never').request('ping'))).code, 'ERR_HUB_MEMBER_EXITED')
    await hub.restart('never')
    assert.is(await hub.to('never').request('ping'), 'pong')
  })
})

test('a worker that fails too often is given up, and comes back when it is restarted', async () => {
  const intensity = { restarts: 1, period: 60_000 }
  await withHub({ workers: [{ id: 'a', exec }], backoff, intensity }, async (hub) => {
    const diary = keepDiary(hub)
    await failure(hub.to('a').request('exit', { code: 1 }))
    await ready(hub, 'a', 2)
    const given = once(hub.lifecycle, 'give-up')
    await failure(hub.to('a').request('exit', { code: 2 }))
    const [{ id, state }, info] = await given
    assert.equal([id, state], ['a', 'given-up'])
    assert.equal(info, { ...intensity, exit: { code: 2, signal: null } })
    const error = await failure(hub.to('a').request('ping'))
    assert.is(error.code, 'ERR_HUB_MEMBER_EXITED')
    assert.match(error.message, /given up.*hub\.restart\("a"\)/)
    await hub.restart('a')
    assert.is(await hub.to('a').request('ping'), 'pong')
    assert.is(diary.filter(({ event }) => event === 'give-up').length, 1)
  })
})

test('hungAfter kills a worker whose event loop is blocked, and nobody else', async () => {
  const workers = [
    { id: 'a', exec, hungAfter: 600 },
    { id: 'free', exec },
  ]
  await withHub({ workers, backoff }, async (hub) => {
    const hung = once(hub.lifecycle, 'hung')
    const left = once(hub.lifecycle, 'leave')
    await hub.to('a').request('block')
    const waiting = failure(hub.to('a').request('ping'))
    const [{ id, incarnation }, { silence }] = await hung
    assert.equal([id, incarnation], ['a', 1])
    assert.ok(silence >= 500, `${silence} ms`)
    assert.equal((await left)[1], { code: null, signal: 'SIGKILL' })
    assert.is((await waiting).code, 'ERR_HUB_MEMBER_EXITED')
    await ready(hub, 'a', 2)
    assert.is(member(hub, 'free')?.incarnation, 1)
  })
})

test('stop answers what runs and calls onStop; who does not end in time is killed', async () => {
  const workers = [
    { id: 'good', exec },
    { id: 'stubborn', exec, env: { STUBBORN: '1' }, gracePeriod: 300 },
  ]
  await withHub({ workers, gracePeriod: 20_000 }, async (hub) => {
    const exits = new Map<string, unknown>()
    hub.lifecycle.on('leave', ({ id }, exit) => exits.set(id, exit))
    const stopping: string[] = []
    hub.on('stopping', (id: string) => stopping.push(id))
    const heard: number[] = []
    hub.on('heard', (n: number) => heard.push(n))
    const work = hub.to('good').request('work', 21)
    await works(hub, 'good')
    const pid = pidOf(hub, 'good')
    hub.to('good').emit('last', 1)
    const stopped = hub.stop('good')
    await until(() => member(hub, 'good')?.state === 'stopping', 'it is being stopped')
    const late = failure(hub.to('good').request('ping'))
    await hub.stop('stubborn')
    assert.equal(exits.get('stubborn'), { code: null, signal: 'SIGKILL' })
    assert.equal(stopping, ['stubborn'])
    assert.is(alive(pid), true)
    process.kill(pid, 'SIGUSR2')
    assert.is(await work, 42)
    await stopped
    assert.equal(exits.get('good'), { code: 0, signal: null })
    assert.equal(stopping, ['stubborn', 'good'])
    assert.equal(heard, [1])
    assert.is((await late).code, 'ERR_HUB_MEMBER_EXITED')
  })
})

test('close answers what runs and what waits, and delivers what was sent', async () => {
  const hub = await startHub({ workers: ['a', 'b'].map((id) => ({ id, exec })), signals: false })
  const stopping: string[] = []
  hub.on('stopping', (id: string) => stopping.push(id))
  const heard: number[] = []
  hub.on('heard', (n: number) => heard.push(n))
  const pids = ['a', 'b'].map((id) => pidOf(hub, id))
  const work = ['a', 'b'].map((id) => hub.to(id).request('work', 5))
  await Promise.all([works(hub, 'a'), works(hub, 'b')])
  const queued = Array.from({ length: 50 }, (_, n) => hub.delegate('queued', n))
  hub.emit('last', 7)
  const closed = hub.close()
  await until(() => member(hub, 'a')?.state === 'stopping', 'it closes')
  for (const pid of pids) process.kill(pid, 'SIGUSR2')
  await closed
  assert.equal(await Promise.all(work), [10, 10])
  assert.equal(
    await Promise.all(queued),
    Array.from({ length: 50 }, (_, n) => n * 3),
  )
  assert.equal(heard, [7, 7])
  assert.equal(stopping.sort(), ['a', 'b'])
  assert.equal(
    hub.members.filter(({ id }) => id !== 'primary').map(({ state, pid }) => [state, pid]),
    [
      ['stopped', undefined],
      ['stopped', undefined],
    ],
  )
})

test('a worker that closes its hub answers what runs, delivers what it sent, and ends by itself', async () => {
  const workers = [{ id: 'a', exec, restart: 'on-failure' as const }]
  await withHub({ workers, gracePeriod: 20_000 }, async (hub) => {
    const byes: number[] = []
    hub.on('bye', (n: number) => byes.push(n))
    const left = once(hub.lifecycle, 'leave')
    const pid = pidOf(hub, 'a')
    const work = hub.to('a').request('work', 8)
    await hub.to('a').request('close')
    await until(() => member(hub, 'a')?.state === 'stopping', 'it has left')
    await until(() => byes.length === 1000, 'all that it sent')
    const late = failure(hub.to('a').request('ping'))
    assert.is(alive(pid), true)
    process.kill(pid, 'SIGUSR2')
    assert.is(await work, 16)
    const [{ id }, exit] = await left
    assert.equal([id, exit], ['a', { code: 0, signal: null }])
    assert.equal(
      byes,
      Array.from({ length: 1000 }, (_, n) => n + 1),
    )
    await until(() => member(hub, 'a')?.state === 'stopped', 'it stays down')
    assert.is((await late).code, 'ERR_HUB_MEMBER_EXITED')
  })
})

test.run()
