import assert from 'node:assert/strict'
import { test } from 'uvu'
import { campaign } from './campaign.js'

// Each incarnation of the member that forges is warned of, as it should be.
process.removeAllListeners('warning')

test('nothing that a member or a client can send crashes or hangs anybody, or speaks for somebody else', async () => {
  const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 1e9)
  const outcome = await campaign(seed, 120_000, 60)
  assert.ok(outcome.inputs >= 20_000, `${outcome.inputs} inputs`)
  assert.ok(outcome.refused > outcome.inputs / 20, `${outcome.refused} refused`)
})

test.run()
