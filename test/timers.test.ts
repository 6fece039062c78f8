import assert from 'node:assert/strict'
import { test } from 'uvu'
import { wallClockAt } from '#lib/timers.js'

test('the wall clock is looked at again, because somebody may set it', () => {
  const { now } = Date
  const start = performance.now()
  assert.ok(Math.abs(wallClockAt(start) - now()) < 1000)
  try {
    Date.now = () => now() + 3_600_000
    // At most a second later it is known.
    assert.ok(wallClockAt(start + 1001) - now() > 3_500_000)
  } finally {
    Date.now = now
  }
  wallClockAt(start + 3000)
})

test.run()
