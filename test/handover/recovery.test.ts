import assert from 'node:assert/strict'
import { io as open } from 'socket.io-client'
import { test } from 'uvu'
import { until } from '../reload/app.js'
import { site } from './site.js'

const BODY = `
  io.on('connection', (socket) => socket.on('who', (done) => done(process.pid)))`

for (const transport of ['websocket', 'polling']) {
  site(
    `the hub knows that clients which have moved are there: ${transport}`,
    { body: BODY, options: '{ connectionStateRecovery: {} }' },
    async ({ hub, port }) => {
      const clients = Array.from({ length: 10 }, () =>
        open(`http://127.0.0.1:${port}`, { transports: [transport], forceNew: true }),
      )
      try {
        await until(() => clients.every(({ connected }) => connected), 'all are connected')
        for (let i = 0; i < 2; i++) {
          await hub.reload()
          await Promise.all(clients.map((client) => client.emitWithAck('who')))
          const { sessions, away } = hub.stats().recovery ?? {}
          assert.deepEqual({ sessions, away }, { sessions: 10, away: 0 })
        }
      } finally {
        for (const client of clients) client.close()
      }
    },
  )
}

test.run()
