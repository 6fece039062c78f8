import assert from 'node:assert/strict'
import { test } from 'uvu'
import { LOAD, LOAD_OPTIONS, underLoad } from './load.js'
import { site } from './site.js'

const RELOADS = 4

for (const options of ['{}', '{ connectionStateRecovery: {} }']) {
  site(
    `each counter arrives once and in order, and each acknowledgement once, over ${RELOADS} reloads: ${options}`,
    { count: 2, body: LOAD, options, joining: LOAD_OPTIONS },
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
