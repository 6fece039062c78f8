import assert from 'node:assert/strict'
import { test } from 'uvu'
import { LOAD, LOAD_OPTIONS, underLoad } from './load.js'
import { site } from './site.js'

const RELOADS = 4
/** How long it may take says another test. */
const PATIENT = { handoverTimeout: 30_000, gracePeriod: 60_000 }

for (const [socketIo, options] of [
  ['socket.io', '{}'],
  ['socket.io', '{ connectionStateRecovery: {} }'],
  ['socket.io-4-7', '{ connectionStateRecovery: {} }'],
] as const) {
  site(
    `each counter arrives once and in order, and each acknowledgement once, over ${RELOADS} reloads: ${socketIo} ${options}`,
    { count: 2, body: LOAD, options, socketIo, joining: LOAD_OPTIONS, hub: PATIENT },
    async (where) => {
      const { wrong } = await underLoad(where, { websockets: 30 }, async () => {
        for (let i = 0; i < RELOADS; i++) await where.hub.reload()
      })
      assert.deepEqual(wrong, [])
      assert.deepEqual(where.hub.stats().handover?.left, 0)
    },
  )
}

test.run()
