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

/** As long as workers that waited for each other would take, in milliseconds. */
const TIMEOUT = 30_000

site(
  'workers that hand over side by side do not wait for each other',
  {
    count: 2,
    hub: { handoverTimeout: TIMEOUT, gracePeriod: 3 * TIMEOUT },
    body: LOAD,
    joining: LOAD_OPTIONS,
  },
  async (where) => {
    const took: number[] = []
    const { wrong } = await underLoad(where, { websockets: 6, polling: 6, upgrading: 2 }, async () => {
      for (let i = 0; i < 2; i++) {
        const begun = performance.now()
        await where.hub.reload({ concurrency: 2 })
        took.push(performance.now() - begun)
      }
    })
    assert.deepEqual(wrong, [])
    assert.ok(Math.max(...took) < TIMEOUT, took.map((ms) => `${Math.round(ms)} ms`).join(', '))
  },
)

test.run()
