import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { alive, fixture, rejection, seats, supervised, until } from './harness.js'

const flag = () => path.join(mkdtempSync(path.join(tmpdir(), 'hubwire-')), 'flag')

test(
  'add resolves when all are ready; close stops all, cleanly',
  supervised(async (h) => {
    await h.supervisor.add(seats([{ role: 'web', count: 2 }, { id: 7 }]))
    assert.equal(
      h.supervisor.seats.map(({ id, state, incarnation }) => `${id} ${state} ${incarnation}`),
      ['web-1 ready 1', 'web-2 ready 1', '7 ready 1'],
    )
    assert.is(await h.supervisor.close(), true)
    assert.is(await h.supervisor.close(), true)
    assert.equal(
      h.diary.filter((line) => line.startsWith('7 ')),
      ['7 spawned 1', '7 starting', '7 ready', '7 stopping', '7 exited 0', '7 stopped'],
    )
    assert.is((await rejection(h.supervisor.restart('7'))).code, 'ERR_HUB_CLOSED')
    assert.is((await rejection(h.supervisor.add(seats([{ id: 8 }])))).code, 'ERR_HUB_CLOSED')
  }),
)

test(
  'add rejects when one dies at its start, and leaves nothing behind',
  supervised(async (h) => {
    const error = await rejection(h.supervisor.add(seats([{ id: 'good' }, { id: 'bad', env: { AT_START: 'crash' } }])))
    assert.is(error.code, 'ERR_HUB_MEMBER_EXITED')
    assert.match(error.message, /^Worker "bad" \(.*worker\.mjs\) exited with code 7 before it was ready\. /)
    assert.match(error.message, /cannot find my database/)
    assert.equal(h.supervisor.seats, [])
    assert.ok(h.processes.every(({ pid }) => !alive(pid)))
    assert.equal(h.diary.slice(-2), ['good removed', 'bad removed'])
    // The id may be used again, its incarnations go on.
    await h.supervisor.add(seats([{ id: 'bad' }]))
    assert.is(h.supervisor.seat('bad')?.incarnation, 2)
  }),
)

test(
  'a hub that is closed while a failed start takes the others along is closed in order: none of them took too long',
  supervised(async (h) => {
    const start = rejection(h.supervisor.add(seats([{ id: 'good' }, { id: 'bad', env: { AT_START: 'crash' } }])))
    while (!h.diary.includes('bad exited 7')) await new Promise(setImmediate)
    assert.ok(h.supervisor.seat('good'), 'it is being killed')
    assert.is(await h.supervisor.close(), true)
    await start
  }),
)

test(
  'add rejects when one is not ready in time',
  supervised(async (h) => {
    const error = await rejection(
      h.supervisor.add(seats([{ id: 'good' }, { id: 'slow', env: { AT_START: 'nothing' }, readyTimeout: 300 }])),
    )
    assert.is(error.code, 'ERR_HUB_TIMEOUT')
    assert.match(
      error.message,
      /^Worker "slow".*not ready within 300 ms, and was killed\. It did not call joinHub\(\)\./,
    )
    assert.equal(h.supervisor.seats, [])
  }),
)

test(
  'add refuses an id that is there',
  supervised(async (h) => {
    await h.supervisor.add(seats([{ id: 'a' }]))
    assert.is((await rejection(h.supervisor.add(seats([{ id: 'a' }])))).code, 'ERR_INVALID_ARG_VALUE')
    assert.is(h.state('a'), 'ready')
  }),
)

test(
  'restarts what dies, with backoff, and tells',
  supervised(async (h) => {
    await h.supervisor.add(seats([{ id: 'a' }], { backoff: { min: 50, max: 1000 } }))
    for (const incarnation of [2, 3]) {
      const time = performance.now()
      h.order('a', { do: 'exit', code: 3 })
      await h.ready('a', incarnation)
      assert.ok(performance.now() - time >= 50 * (incarnation - 1))
    }
    const infos = h.infos.map(({ event, seat, info }) => ({
      event,
      state: seat.state,
      ...(info as { attempt: number }),
    }))
    assert.equal(
      infos.map(({ event, state, attempt }) => [event, state, attempt]),
      [
        ['restart', 'restarting', 1],
        ['restart', 'restarting', 2],
      ],
    )
    const after = h.diary.slice(h.diary.indexOf('a ready') + 1)
    assert.equal(after.slice(0, 6), [
      'a exited 3',
      'a restarting',
      'a restart!',
      'a spawned 2',
      'a starting',
      'a ready',
    ])
  }),
)

test(
  'gives up, and tells once that a role is exhausted',
  supervised(async (h) => {
    const limits = { intensity: { restarts: 2, period: 60_000 } }
    const spec = { env: { AT_START: 'ready-then-crash' }, ...limits }
    await h.supervisor.add(seats([{ role: 'web', count: 2, ...spec }, { id: 'other' }]))
    await until(() => h.exhausted.length > 0, 'exhausted')
    assert.is(h.state('web-1'), 'given-up')
    assert.is(h.state('web-2'), 'given-up')
    assert.is(h.state('other'), 'ready')
    assert.equal(h.exhausted, [{ name: 'web', ids: ['web-1', 'web-2'] }])
    assert.equal(
      h.infos.filter(({ event }) => event === 'give-up').map(({ info }) => info),
      Array(2).fill({ restarts: 2, period: 60_000, exit: { code: 3, signal: null } }),
    )
    assert.is(h.processes.filter(({ id }) => id === 'web-1').length, 3)
    assert.is(h.supervisor.seat('web-1')?.pid, undefined)
    // By hand it starts again, with its history forgotten.
    await h.supervisor.restart('web-1')
    await until(() => h.exhausted.length === 2, 'exhausted again')
    assert.is(h.processes.filter(({ id }) => id === 'web-1').length, 6)
  }),
)

test(
  'restart kinds: never, and on-failure',
  supervised(async (h) => {
    await h.supervisor.add(
      seats([
        { id: 'never', restart: 'never' },
        { id: 'failure', restart: 'on-failure' },
      ]),
    )
    h.order('never', { do: 'exit', code: 1 })
    h.order('failure', { do: 'exit', code: 1 })
    await h.ready('failure', 2)
    h.order('failure', { do: 'exit', code: 0 })
    await until(() => h.state('failure') === 'stopped' && h.state('never') === 'stopped', 'both stopped')
    assert.equal(h.exhausted, [])
  }),
)

test(
  'stop: asks; kills after the grace period; is idempotent',
  supervised(async (h) => {
    await h.supervisor.add(seats([{ id: 'deaf', env: { ON_STOP: 'ignore' }, gracePeriod: 150 }, { id: 'good' }]))
    const time = performance.now()
    await Promise.all([h.supervisor.stop('deaf'), h.supervisor.stop('deaf'), h.supervisor.stop('good')])
    assert.ok(performance.now() - time >= 145)
    await h.supervisor.stop('deaf')
    assert.equal(
      h.diary.filter((line) => line.startsWith('deaf')),
      [
        'deaf spawned 1',
        'deaf starting',
        'deaf ready',
        'deaf stopping',
        'deaf overdue',
        'deaf exited SIGKILL',
        'deaf stopped',
      ],
    )
    assert.is(h.exits.find(({ id }) => id === 'good')?.exit.code, 0)
    assert.is((await rejection(h.supervisor.stop('nobody'))).code, 'ERR_HUB_NO_MEMBER')
    await h.supervisor.restart('good')
    assert.is(h.supervisor.seat('good')?.incarnation, 2)
  }),
)

test(
  'close tells when it had to kill; killAll does not wait',
  supervised(async (h) => {
    await h.supervisor.add(seats([{ id: 'deaf', env: { ON_STOP: 'ignore' } }, { id: 'good' }]))
    const closed = h.supervisor.close()
    await until(() => h.state('good') === 'stopped', 'the good one')
    assert.is(h.state('deaf'), 'stopping')
    await h.supervisor.killAll()
    assert.is(await closed, false)
  }),
)

test(
  'stop and close cancel a restart that waits',
  supervised(async (h) => {
    await h.supervisor.add(seats([{ id: 'a' }, { id: 'b' }], { backoff: { min: 60_000, max: 60_000 } }))
    h.order('a', { do: 'exit', code: 1 })
    h.order('b', { do: 'exit', code: 1 })
    await until(() => h.state('a') === 'restarting' && h.state('b') === 'restarting', 'both in backoff')
    await h.supervisor.stop('a')
    assert.is(h.state('a'), 'stopped')
    assert.is(await h.supervisor.close(), true)
    assert.is(h.state('b'), 'stopped')
    assert.is(h.processes.length, 2)
  }),
)

test(
  'restart does not wait for the backoff, and replaces a running process',
  supervised(async (h) => {
    await h.supervisor.add(seats([{ id: 'a' }], { backoff: { min: 60_000, max: 60_000 } }))
    h.order('a', { do: 'exit', code: 1 })
    await until(() => h.state('a') === 'restarting', 'backoff')
    await h.supervisor.restart('a')
    assert.is(h.supervisor.seat('a')?.incarnation, 2)
    let returning: boolean | undefined
    h.onChange = (seat) => {
      if (seat.state === 'stopping') returning = seat.returning
    }
    await Promise.all([h.supervisor.restart('a'), h.supervisor.restart('a')])
    assert.is(h.supervisor.seat('a')?.incarnation, 3)
    assert.is(returning, true)
  }),
)

test(
  'restart rejects when the new process fails, and the policy goes on',
  supervised(async (h) => {
    const intensity = { restarts: 2, period: 60_000 }
    await h.supervisor.add(seats([{ id: 'a', env: { AT_START: 'crash-after-first', FLAG: flag() }, intensity }]))
    const error = await rejection(h.supervisor.restart('a'))
    assert.is(error.code, 'ERR_HUB_MEMBER_EXITED')
    assert.match(error.message, /code 4[\s\S]*not again/)
    await until(() => h.state('a') === 'given-up', 'given up')
    assert.equal(h.exhausted, [{ name: 'a', ids: ['a'] }])
    assert.is(h.processes.length, 4)
  }),
)

test(
  'a restarted process that is not ready in time is killed, and goes through the policy',
  supervised(async (h) => {
    const limits = { intensity: { restarts: 1, period: 60_000 }, readyTimeout: 1000 }
    await h.supervisor.add(seats([{ id: 'a', env: { AT_START: 'silent-after-first', FLAG: flag() }, ...limits }]))
    h.order('a', { do: 'exit', code: 1 })
    await until(() => h.state('a') === 'given-up', 'given up')
    assert.is(h.exits.at(-1)?.exit.signal, 'SIGKILL')
  }),
)

test(
  'stop cancels a restart under way and a start under way',
  supervised(async (h) => {
    await h.supervisor.add(seats([{ id: 'a', env: { AT_START: 'silent-after-first', FLAG: flag() } }]))
    const restarted = rejection(h.supervisor.restart('a'))
    await until(() => h.supervisor.seat('a')?.incarnation === 2, 'the second process')
    await h.supervisor.stop('a')
    assert.match(
      (await restarted).message,
      /^Worker "a" was stopped before it was ready\. Start it again with hub\.restart\("a"\)\.$/,
    )
    const added = rejection(h.supervisor.add(seats([{ id: 'b', env: { AT_START: 'nothing' } }, { id: 'c' }])))
    await h.supervisor.stop('b')
    assert.match((await added).message, /"b" was stopped/)
    assert.equal(
      h.supervisor.seats.map(({ id }) => id),
      ['a'],
    )
  }),
)

test(
  'close while starting',
  supervised(async (h) => {
    const added = rejection(h.supervisor.add(seats([{ id: 'a', env: { AT_START: 'nothing' } }])))
    assert.is(await h.supervisor.close(), true)
    assert.is((await added).code, 'ERR_HUB_CLOSED')
    assert.is(h.state('a'), 'stopped')
    assert.is(h.exits[0]?.exit.signal, 'SIGTERM', 'it could not hear the hub yet')
  }),
)

test(
  'a process that was asked to stop while it was joining is asked again when it is heard',
  supervised(async (h) => {
    const added = rejection(h.supervisor.add(seats([{ id: 'a', env: { AT_START: 'held' }, gracePeriod: 10_000 }])))
    const process = h.latest('a')
    const { onmessage } = process
    const held: unknown[] = []
    process.onmessage = (message) => held.push(message)
    await until(() => held.length === 1, 'its first words')
    const closed = h.supervisor.close()
    onmessage?.(held[0], undefined)
    assert.is(await closed, true)
    await added
    assert.is(h.exits[0]?.exit.code, 0)
  }),
)

test(
  'a hung worker is killed and restarted; one that answers is not',
  supervised(async (h) => {
    await h.supervisor.add(
      seats([
        { id: 'a', hungAfter: 300 },
        { id: 'b', hungAfter: 300 },
      ]),
    )
    h.order('a', { do: 'block' })
    await h.ready('a', 2)
    const hung = h.infos.filter(({ event }) => event === 'hung')
    assert.equal(
      hung.map(({ seat }) => seat.id),
      ['a'],
    )
    assert.ok(Number((hung[0]?.info as { silence?: number } | undefined)?.silence) >= 290)
    assert.is(h.exits[0]?.exit.signal, 'SIGKILL')
    assert.is(h.supervisor.seat('b')?.incarnation, 1)
    // That the primary itself is blocked is nobody else's fault.
    for (const end = Date.now() + 900; Date.now() < end; );
    await new Promise((resolve) => setTimeout(resolve, 150))
    assert.is(h.infos.filter(({ event }) => event === 'hung').length, 1)
  }),
)

test(
  'a member that left by itself is judged by its exit, and stopped without the hub',
  supervised(async (h) => {
    await h.supervisor.add(seats([{ id: 'a' }, { id: 'b' }]))
    h.supervisor.left('a', 7)
    assert.is(h.state('a'), 'ready')
    h.supervisor.left('a', 1)
    assert.is(h.state('a'), 'stopping')
    h.order('a', { do: 'exit', code: 0 })
    await h.ready('a', 2)
    h.supervisor.left('b', 1)
    await h.supervisor.stop('b')
    assert.is(h.exits.find(({ id }) => id === 'b')?.exit.signal, 'SIGTERM')
  }),
)

test(
  'a process that lost its channel and lives on is killed after the grace period',
  supervised(async (h) => {
    await h.supervisor.add(seats([{ id: 'a', env: { SURVIVE: '1' }, gracePeriod: 100 }]))
    h.order('a', { do: 'disconnect' })
    await h.ready('a', 2)
    assert.is(h.exits[0]?.exit.signal, 'SIGKILL')
  }),
)

test(
  'hooks may call back',
  supervised(async (h) => {
    await h.supervisor.add(seats([{ id: 'a' }, { id: 'b' }, { id: 'c' }]))
    const calls: Promise<void>[] = []
    h.onChange = (seat) => {
      if (seat.id === 'a' && seat.state === 'restarting') calls.push(h.supervisor.stop('a'))
    }
    h.onExit = (seat) => {
      if (seat.id === 'b') calls.push(h.supervisor.stop('b'))
      if (seat.id === 'c' && seat.incarnation === 1) calls.push(h.supervisor.restart('c'))
    }
    for (const id of ['a', 'b', 'c']) h.order(id, { do: 'exit', code: 1 })
    await h.ready('c', 2)
    await until(() => calls.length === 3, 'the calls')
    await Promise.all(calls)
    assert.is(h.state('a'), 'stopped')
    assert.is(h.state('b'), 'stopped')
    assert.is(h.processes.length, 4)
  }),
)

test(
  'a worker that cannot be spawned fails the start with a message',
  supervised(async (h) => {
    const error = await rejection(h.supervisor.add(seats([{ id: 'a', exec: fixture('worker.mjs'), args: ['\0'] }])))
    assert.is(error.code, 'ERR_HUB_MEMBER_EXITED')
    assert.match(error.message, /^Worker "a".*could not be started: .*\. Look at /)
  }),
)

test.run()
