import assert from 'node:assert/strict'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'uvu'
import { campaign } from './campaign.js'

// Of what workers are made to send wrongly the primary is warned, as it should be.
process.removeAllListeners('warning')
// Private sockets of this test and its workers alone.
process.env.TMPDIR = fs.mkdtempSync(path.join(os.tmpdir(), 'test-faults-'))
process.once('exit', () => fs.rmSync(os.tmpdir(), { recursive: true, force: true }))

test('under load, whatever becomes of workers and clients, nothing is lost, doubled, misled or left over', async () => {
  const seed = Number(process.env.FAULTS_SEED ?? Date.now() % 1e9)
  console.log(`FAULTS_SEED=${seed}`)
  const { violations, failingSeed, counts } = await campaign({
    seed,
    rounds: 2,
    rage: 14_000,
    latest: 35_000,
    tell: console.log,
  })
  assert.deepEqual(violations, [], `seed ${failingSeed ?? seed}`)
  for (const [what, least] of Object.entries({ deliveries: 2000, calls: 500, delegations: 100, packets: 1000 })) {
    assert.ok((counts[what] ?? 0) >= least, `${what}: ${counts[what]}`)
  }
})

test.run()
