import assert from 'node:assert/strict'
import { HubError, type PrimaryHub, startHub } from 'hubwire'
import { test } from 'uvu'
import { PATIENCE } from '../conditions.js'
import { failure, until } from './conditions.js'

const LEAVER = new URL('./workers/leaver.js', import.meta.url)

async function withHub(gracePeriod: number, run: (hub: PrimaryHub) => Promise<void>): Promise<void> {
  const hub = await startHub({ signals: false, gracePeriod, workers: [{ id: 'a', exec: LEAVER }] })
  try {
    await run(hub)
  } finally {
    await hub.close()
  }
}

test('a worker that has left the hub and lives on holds nobody back for longer than its grace period', () =>
  withHub(500, async (hub) => {
    await hub.to('a').request('leave')
    await until(() => hub.members.some(({ id, state }) => id === 'a' && state === 'stopping'), 'it has left')
    const waited = await hub
      .to('a')
      .request('echo', 1)
      .catch((error: unknown) => error)
    assert.ok(waited instanceof HubError)
    assert.equal(waited.code, 'ERR_HUB_MEMBER_EXITED')
    assert.match(waited.message, /"a" has left the hub.*hub\.restart\("a"\)/)
    for (let i = 0; i < 30; i++) hub.emit('load', 'x'.repeat(100_000))
    await hub.drained()
    assert.equal(hub.emit('load', 1), true)
    assert.equal(hub.stats().links?.find(({ id }) => id === 'a')?.held, 0)
    await hub.restart('a')
    assert.equal(await hub.to('a').request('echo', 2), 2, 'and its next process takes part again')
  }))

test('until then what is sent to it waits, for the process that follows', () =>
  withHub(60_000, async (hub) => {
    const pid = () => hub.members.find(({ id }) => id === 'a')?.pid as number
    const held = () => hub.stats().links?.find(({ id }) => id === 'a')?.held
    // Twice: the second process is no leaver because the first was one.
    for (const incarnation of [2, 3]) {
      await hub.to('a').request('leave')
      await until(() => hub.members.some(({ id, state }) => id === 'a' && state === 'stopping'), 'it has left')
      const answer = hub.to('a').request('echo', incarnation)
      await until(() => held() === 1, 'the request is held')
      process.kill(pid(), 'SIGKILL')
      assert.equal(await answer, incarnation)
      assert.equal(hub.members.find(({ id }) => id === 'a')?.incarnation, incarnation)
    }
  }))

test('what is sent while the next process starts waits as for any, though the one before it had left for good', () =>
  withHub(100, async (hub) => {
    await hub.to('a').request('leave')
    await until(() => hub.members.some(({ id, state }) => id === 'a' && state === 'stopping'), 'it has left')
    const waited = hub.to('a').request('echo', 1)
    assert.equal((await failure(waited)).code, 'ERR_HUB_MEMBER_EXITED', 'its grace period is over')
    process.kill(hub.members.find(({ id }) => id === 'a')?.pid as number, 'SIGKILL')
    await until(() => hub.members.some(({ id, state }) => id === 'a' && state === 'restarting'), 'it restarts')
    assert.equal(await hub.to('a').request('echo', 2), 2)
  }))

test('a worker that is leaving when it is stopped ends when its tasks have', async () => {
  const hub = await startHub({ signals: false, gracePeriod: PATIENCE, workers: [{ id: 'a', exec: LEAVER }] })
  const exits: unknown[] = []
  hub.lifecycle.on('leave', ({ id }, exit) => id === 'a' && exits.push(exit))
  const slowly = hub.to('a').request('slowly')
  await hub.to('a').request('leave')
  await until(() => hub.members.some(({ id, state }) => id === 'a' && state === 'stopping'), 'it is leaving')
  await hub.close()
  assert.equal(await slowly, 'done')
  // Killed, it would have been SIGKILL.
  assert.deepEqual(exits, [{ code: null, signal: 'SIGTERM' }])
})

test('a worker that is ready and leaves in one breath has left', async () => {
  const exec = new URL('./workers/brief.js', import.meta.url)
  const hub = await startHub({ signals: false, workers: [{ id: 'a', exec, restart: 'never' }] })
  try {
    await until(() => hub.members.some(({ id, state }) => id === 'a' && state === 'stopping'), 'it has left')
  } finally {
    await hub.close()
  }
})

test('close() ends although somebody never stops sending', async () => {
  const hub = await startHub({ signals: false, gracePeriod: 500, workers: [{ id: 'a', exec: LEAVER }] })
  let sent = 0
  const publishing = (async () => {
    for (;;) {
      if (!hub.emit('load', sent++)) await hub.drained()
      await new Promise(setImmediate)
    }
  })()
  await until(() => sent > 10, 'it sends')
  await hub.close()
  await assert.rejects(publishing, { code: 'ERR_HUB_CLOSED' })
})

test('close() keeps to one grace period, whatever does not end', async () => {
  const gracePeriod = 4000
  const hub = await startHub({ signals: false, gracePeriod, workers: [{ id: 'a', exec: LEAVER }] })
  hub.handle('never', () => new Promise(() => {}))
  const calls = [hub.to('a').request('hang'), hub.to('a').request('hang'), hub.to('primary').request('never')].map(
    (call) => call.catch((error: unknown) => error),
  )
  await hub.drained()
  const start = performance.now()
  await hub.close()
  // Half of it goes by for what is queued, and the rest for what runs. A wait with a period of its own, for the workers
  // or for the primary's own task, would make it one and a half.
  const took = performance.now() - start
  assert.ok(took < gracePeriod * 1.4, `${took} ms`)
  for (const error of await Promise.all(calls)) assert.ok(error instanceof HubError)
})

test.run()
