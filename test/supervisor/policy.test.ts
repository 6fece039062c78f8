import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { RestartPolicy } from '#lib/supervisor/policy.js'
import type { RestartKind } from '#lib/types.js'

function setUp(restart: RestartKind = 'always', restarts = 5, backoff = { min: 100, max: 1000 }) {
  const clock = { now: 0, random: 0 }
  const policy = new RestartPolicy(
    { restart, intensity: { restarts, period: 60_000 }, backoff },
    { now: () => clock.now, random: () => clock.random },
  )
  return { clock, policy }
}
const failed = { code: 1, signal: null }
const done = { code: 0, signal: null }
const killed = { code: null, signal: 'SIGKILL' }

test('restart kinds', () => {
  for (const exit of [failed, done, killed]) {
    assert.is(setUp('always').policy.exited(exit).action, 'restart')
    assert.is(setUp('never').policy.exited(exit).action, 'stay-down')
  }
  assert.is(setUp('on-failure').policy.exited(failed).action, 'restart')
  assert.is(setUp('on-failure').policy.exited(killed).action, 'restart')
  assert.is(setUp('on-failure').policy.exited({ code: null, signal: null }).action, 'restart')
  assert.is(setUp('on-failure').policy.exited(done).action, 'stay-down')
})

test('backoff doubles, with jitter, within its bounds', () => {
  for (const [random, delays] of [
    [0, [100, 200, 400, 500, 500]],
    [1, [200, 400, 800, 1000, 1000]],
  ] as const) {
    const { clock, policy } = setUp()
    clock.random = random
    const verdicts = delays.map(() => policy.exited(failed))
    assert.equal(
      verdicts,
      delays.map((delay, index) => ({ action: 'restart', attempt: index + 1, delay })),
    )
  }
})

test('backoff of nothing is nothing, even after ever so many attempts', () => {
  const { policy } = setUp('always', Infinity, { min: 0, max: 0 })
  for (let n = 0; n < 2000; n++) assert.is((policy.exited(failed) as { delay: number }).delay, 0)
  const other = setUp('always', Infinity, { min: 1, max: Infinity }).policy
  for (let n = 0; n < 2000; n++) assert.ok(Number.isFinite((other.exited(failed) as { delay: number }).delay))
})

test('gives up at more than so many restarts in the period', () => {
  const { clock, policy } = setUp('always', 2)
  assert.is(policy.exited(failed).action, 'restart')
  clock.now = 30_000
  assert.is(policy.exited(failed).action, 'restart')
  clock.now = 59_999
  assert.equal(policy.exited(failed), { action: 'give-up', restarts: 2, period: 60_000 })
  clock.now = 60_000
  assert.is(policy.exited(failed).action, 'restart', 'the first has left the window')
  assert.is(setUp('always', 0).policy.exited(failed).action, 'give-up')
})

test('back to the shortest delay after a whole period up, not after a shorter one or one that was never ready', () => {
  const { clock, policy } = setUp()
  policy.exited(failed)
  policy.up()
  clock.now += 59_999
  assert.is((policy.exited(failed) as { attempt: number }).attempt, 2)
  clock.now += 60_000
  assert.is((policy.exited(failed) as { attempt: number }).attempt, 3)
  policy.up()
  clock.now += 60_000
  assert.equal(policy.exited(failed), { action: 'restart', attempt: 1, delay: 100 })
})

test('reset forgets', () => {
  const { policy } = setUp('always', 1)
  policy.exited(failed)
  assert.is(policy.exited(failed).action, 'give-up')
  policy.reset()
  assert.equal(policy.exited(failed), { action: 'restart', attempt: 1, delay: 100 })
})

test.run()
