import assert from 'node:assert/strict'
import { test } from 'uvu'
import type { Kind } from './history.js'
import { kills, type Plan, reloads } from './scenarios.js'

const seed = Number(process.env.SEED ?? Date.now() % 1e9)

function plan(clients: Record<Kind, number>, workers: number): Plan {
  const cast = { workers, clients, crowds: 1, pace: { up: 150, down: 150 }, seed }
  return { cast, reloads: 2, tell: console.log }
}

test(`nobody notices reloads, nor those that fail: seed ${seed}`, async () => {
  const { violations, counts, handover } = await reloads(plan({ websocket: 40, polling: 12, upgrading: 8 }, 2))
  assert.deepEqual(violations, [])
  assert.equal(counts.cut, 0)
  assert.equal(handover?.left, 0)
  // Two reloads, one that got as far as the first worker, and one more.
  assert.ok((handover?.moved ?? 0) >= 3 * (40 + 12), `moved ${handover?.moved}`)
  for (const what of ['up', 'ticks', 'downs', 'answers'] as const)
    assert.ok(counts[what] >= 60, `${counts[what]} ${what}`)
})

for (const victim of ['old', 'new'] as const) {
  test(`the ${victim} process is killed meanwhile: its clients come back to all that they missed: seed ${seed}`, async () => {
    const { violations, counts } = await kills(plan({ websocket: 60, polling: 0, upgrading: 0 }, 2), victim)
    assert.deepEqual(violations, [])
    assert.equal(counts.recovered, counts.cut)
  })
}

test.run()
