import assert from 'node:assert/strict'
import { io as open } from 'socket.io-client'
import { test } from 'uvu'
import { until } from '../reload/app.js'
import { site } from './site.js'

/** For so long, in milliseconds, an acknowledgement could be waited for. */
const TIMEOUT = 12_000

const BODY = `
  io.on('connection', (socket) => {
    socket.on('never', () => {})
    socket.on('pid', (done) => done(process.pid))
    socket.on('ask in vain', () => socket.emit('asked in vain', () => tell('answer')))
  })
`

for (const transport of ['websocket', 'polling']) {
  site(
    `acknowledgements that never come keep no process from ending: ${transport}`,
    { body: BODY, hub: { handoverTimeout: TIMEOUT, gracePeriod: 60_000 } },
    async ({ hub, port, told }) => {
      const client = open(`http://127.0.0.1:${port}`, { transports: [transport], forceNew: true, reconnection: false })
      const wrong: string[] = []
      client.on('disconnect', (reason) => wrong.push(reason))
      await until(() => client.connected, 'connected')
      const since = performance.now()
      client.emit('never', () => {})
      client.emit('ask in vain')
      await client.emitWithAck('pid')
      // It has been owed for as long as anything is waited for.
      await until(() => performance.now() - since > TIMEOUT, 'time passes')
      client.emit('ask in vain')
      await client.emitWithAck('pid')
      let begun = 0
      hub.lifecycle.on('reload', (_, { phase }) => {
        if (phase === 'draining') begun = performance.now()
      })
      await hub.reload()
      const took = performance.now() - begun
      assert.ok(took < TIMEOUT / 2, `${took} ms`)
      assert.deepEqual([wrong, told], [[], []])
      client.off('disconnect').close()
    },
  )
}

test.run()
