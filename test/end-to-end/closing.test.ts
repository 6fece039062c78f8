import assert from 'node:assert/strict'
import { startHub } from 'hubwire'
import { test } from 'uvu'
import { PATIENCE } from '../conditions.js'
import { until, withHub, worker } from './support.js'

const exec = worker('closing')

test('what was sent before hub.close() arrives: at the workers, and at the primary itself', async () => {
  const hub = await startHub({ signals: false, workers: [{ role: 'web', count: 2, exec }] })
  const codes: (number | null)[] = []
  const heard: number[] = []
  hub.lifecycle.on('leave', ({ id }, { code }) => id !== 'primary' && codes.push(code))
  hub.on('last', (n: number) => heard.push(n))
  hub.handle('own', (n: number) => n)
  for (let n = 0; n < 10; n++) hub.emit('last', 4)
  const answers = [
    hub.to('web-1').request('answer', 1),
    hub.delegate('answer', 2),
    hub.to('primary').request('own', 3),
    hub.delegate('own', 4),
  ]
  hub.to('web-1').emit('last', 1)
  hub.to('web-2').emit('last', 2)
  const settled = Promise.allSettled(answers)
  await hub.close()
  assert.deepEqual(
    (await settled).map((result) => (result.status === 'fulfilled' ? result.value : result.reason)),
    [1, 2, 3, 4],
  )
  assert.deepEqual(codes.sort(), [41, 42])
  assert.deepEqual(heard, Array(10).fill(4))
})

test('however much that is, within the grace period: what waits in the hub and in a worker, too', async () => {
  const hub = await startHub({
    signals: false,
    gracePeriod: PATIENCE,
    slowAfter: PATIENCE,
    workers: [{ role: 'web', count: 2, exec }],
  })
  const totals: number[] = []
  const heard: number[] = []
  hub.on('total', (n: number) => totals.push(n))
  hub.on('farewell', (n: number) => heard.push(n))
  // Twenty times what may wait before emit() returns false.
  const text = 'x'.repeat(10_000)
  for (let n = 0; n < 2000; n++) hub.emit('much', text)
  assert.equal(hub.emit('much'), false)
  const farewell = hub.to('web-1').request('farewell', text)
  await hub.close()
  await farewell
  assert.deepEqual(totals, [2001, 2001])
  assert.deepEqual(
    heard,
    Array.from({ length: 1000 }, (_, n) => n),
  )
})

test('large answers that are still on their way when their worker is stopped arrive', async () => {
  const hub = await startHub({
    signals: false,
    timeout: PATIENCE,
    gracePeriod: PATIENCE,
    workers: [{ id: 'ann', exec }],
  })
  const answers = Array.from({ length: 8 }, () => hub.to('ann').request('large', 8_000_000) as Promise<string>)
  const settled = Promise.allSettled(answers)
  await hub.close()
  assert.deepEqual(
    (await settled).map((result) => (result.status === 'fulfilled' ? result.value.length : result.reason)),
    Array(8).fill(8_000_000),
  )
})

test(
  'and what a worker sent before it left',
  withHub({ workers: [{ id: 'ann', exec, restart: 'never' }] }, async (hub) => {
    const heard: number[] = []
    hub.on('farewell', (n: number) => heard.push(n))
    await hub.to('ann').request('leave', 'x'.repeat(1000))
    await until(() => hub.members.some(({ id, state }) => id === 'ann' && state === 'stopped'), 'it has left')
    assert.deepEqual(
      heard,
      Array.from({ length: 1000 }, (_, n) => n),
    )
  }),
)

test.run()
