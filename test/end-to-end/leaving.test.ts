import assert from 'node:assert/strict'
import { HubError, type PrimaryHub, startHub } from 'hubwire'
import { test } from 'uvu'
import { until } from './conditions.js'

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

test('close() keeps to one grace period, whatever does not end', async () => {
  const gracePeriod = 1500
  const hub = await startHub({ signals: false, gracePeriod, workers: [{ id: 'a', exec: LEAVER }] })
  hub.handle('never', () => new Promise(() => {}))
  const calls = [hub.to('a').request('hang'), hub.to('a').request('hang'), hub.to('primary').request('never')].map(
    (call) => call.catch((error: unknown) => error),
  )
  await hub.drained()
  const start = performance.now()
  await hub.close()
  // One after the other, the three waits for them would take at least three periods.
  assert.ok(performance.now() - start < gracePeriod * 2.5)
  for (const error of await Promise.all(calls)) assert.ok(error instanceof HubError)
})

test.run()
