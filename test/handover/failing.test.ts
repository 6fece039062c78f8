import assert from 'node:assert/strict'
import { test } from 'uvu'
import { memberOf, until } from '../reload/app.js'
import { frame, RawClient } from './raw-client.js'
import { serving, site } from './site.js'

const BODY = `
  io.of('/chat')
  io.on('connection', (socket) => {
    tell('connection')
    socket.on('who', (done) => done(process.pid))
    socket.on('disconnect', (reason) => tell('disconnect', reason))
  })`
/** The hub still believes that it has the namespace. */
const FORGETFUL = `${BODY}
  io._nsps.delete('/chat')`
const REFUSING = `${BODY}
  io.engine.use((req, res, next) => next(req.headers['x-marked'] ? new Error('on purpose') : undefined))`

const VERSIONS = ['socket.io', 'socket.io-4-7']
const PATIENT = { handoverTimeout: 30_000, gracePeriod: 60_000 }

for (const socketIo of VERSIONS) {
  for (const [what, code] of [
    ['has not all of its namespaces', FORGETFUL],
    ['refuses it in a middleware of io.engine', REFUSING],
  ] as const) {
    site(
      `a session whose new process ${what} is cut off at once, and counted: ${socketIo}`,
      { body: BODY, socketIo, hub: PATIENT },
      async ({ hub, port, told, app }) => {
        const client = new RawClient(port)
        await client.connect()
        client.send(frame(1, '40/chat,'))
        await until(() => client.texts.some((text) => text.startsWith('40/chat,{')), 'connected there, too')
        app.write(serving(code, { socketIo }))
        const since = performance.now()
        await hub.reload()
        await until(() => client.ended, 'it is cut off')
        assert.ok(performance.now() - since < PATIENT.handoverTimeout, 'not only when time is up')
        assert.deepEqual(hub.stats().handover, { moved: 0, left: 1 })
        await until(() => told.some(([, , reason]) => reason === 'transport close'), 'told')
        await until(() => hub.stats().http?.workers[0]?.connections === 0, 'no connection is left')
      },
    )
  }
}

site(
  'a connection that takes longer to come than handoverTimeout, because the primary is busy, is not cut off',
  { body: BODY, attach: "{ onHandover: () => tell('asked') }", hub: { handoverTimeout: 3000, gracePeriod: 60_000 } },
  async ({ hub, port }) => {
    // So many leave at first, and no other one has to wait for them.
    const clients = [new RawClient(port), new RawClient(port)]
    for (const client of clients) await client.connect()
    let busy = false
    hub.on('told', (_, what) => {
      if (what !== 'asked' || busy) return
      busy = true
      // By now the new process has been told of them.
      const since = performance.now()
      while (performance.now() - since < 4000);
    })
    await hub.reload()
    assert.ok(busy)
    for (const client of clients) {
      client.send(frame(1, '421["who"]'))
      await until(() => client.packets.length > 0 || client.ended, 'it goes on')
      assert.deepEqual(client.packets, [`431[${memberOf(hub, 'web-1').pid}]`])
    }
    assert.deepEqual(hub.stats().handover, { moved: 2, left: 0 })
    for (const client of clients) client.close()
  },
)

for (const [what, body, next] of [
  ['whose Socket.IO is of another shape', `${BODY}\nio.sockets._ids = 'none'`, serving(BODY)],
  ['whose new code has no Socket.IO', BODY, 'http.createServer()'],
] as const) {
  site(
    `sessions of a process ${what} are counted`,
    { body, hub: { handoverTimeout: 1000, gracePeriod: 60_000 } },
    async ({ hub, port, app }) => {
      const client = new RawClient(port)
      await client.connect()
      app.write(next.startsWith('http') ? `import http from 'node:http'\nhub.serve(${next})` : next)
      await hub.reload()
      await until(() => client.ended, 'it is cut off')
      assert.deepEqual(hub.stats().handover, { moved: 0, left: 1 })
    },
  )
}

test.run()
