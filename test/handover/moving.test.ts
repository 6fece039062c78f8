import assert from 'node:assert/strict'
import type { PrimaryHub } from 'hubwire'
import { io as open } from 'socket.io-client'
import { test } from 'uvu'
import { memberOf, until } from '../reload/app.js'
import { serving, site } from './site.js'

const BODY = `
  io.on('connection', (socket) => {
    tell('connection', socket.id)
    socket.on('rooms', (done) => done([...socket.rooms].sort()))
    socket.on('disconnect', (reason) => tell('disconnect', reason))
  })
  hub.handle('fetch', async () => (await io.fetchSockets()).map(({ id, rooms, data }) => ({ id, rooms: [...rooms] })))
  hub.handle('ask', (n) => io.timeout(50_000).emitWithAck('asked', n))
  hub.handle('join', () => io.socketsJoin('new'))
  hub.handle('tell', (n) => { io.to('new').emit('told', n) })
  hub.handle('disconnect', () => io.disconnectSockets())
`
/** Sessions that come are opened when the test says so. */
const HESITANT = `
  let go = () => {}
  const may = new Promise((resolve) => { go = resolve })
  hub.on('may', go)
  io.engine.use((req, res, next) => {
    if (req.url.includes('sid=')) return next()
    tell('arriving')
    may.then(() => next())
  })
  ${BODY}
`

/** The worker that has the only session, and the other one. */
async function placesOf(hub: PrimaryHub, told: unknown[][]): Promise<[string, string]> {
  await until(() => told.length > 0, 'told')
  return memberOf(hub, 'web-1').pid === told[0]?.[0] ? ['web-1', 'web-2'] : ['web-2', 'web-1']
}

for (const transport of ['polling', 'websocket']) {
  for (const socketIo of ['socket.io', 'socket.io-4-7']) {
    site(
      `a session that is on its way is found, asked, and made to join and to leave: ${transport}, ${socketIo}`,
      { body: BODY, count: 2, socketIo, hub: { handoverTimeout: 30_000, gracePeriod: 60_000 } },
      async ({ hub, port, told, app }) => {
        const client = open(`http://127.0.0.1:${port}`, {
          transports: [transport],
          forceNew: true,
          reconnection: false,
        })
        const got: unknown[][] = []
        client.on('told', (n) => got.push(['told', n]))
        client.on('asked', (n: number, done: (n: number) => void) => {
          got.push(['asked', n])
          done(n + 1)
        })
        const reasons: string[] = []
        client.on('disconnect', (reason) => reasons.push(reason))
        await until(() => client.connected, 'connected')
        const [home, other] = await placesOf(hub, told)
        const { id } = client
        // So that the other one, which is asked, knows what it is about to do.
        app.write(serving(HESITANT, { socketIo }))
        const reload = hub.reload({ ids: [home] })
        await until(() => told.some(([, what]) => what === 'arriving'), 'on its way')
        for (const worker of [other, home]) {
          assert.deepEqual(await hub.to(worker).request('fetch'), [{ id, rooms: [id] }], `found by ${worker}`)
        }
        const asked = [hub.to(other).request('ask', 1), hub.to(home).request('ask', 10)]
        await hub.to(other).request('join')
        await until(async () => JSON.stringify(await hub.to(other).request('fetch')).includes('new'), 'joined')
        await hub.to(other).request('tell', 5)
        await hub.drained()
        assert.deepEqual(got, [])
        hub.emit('may')
        assert.deepEqual(await Promise.all(asked), [[2], [11]])
        assert.deepEqual(await client.emitWithAck('rooms'), [id, 'new'].sort())
        await until(() => got.length === 3, 'told')
        assert.deepEqual(got.map(String).sort(), ['asked,1', 'asked,10', 'told,5'])
        await reload
        assert.deepEqual(reasons, [])
        assert.deepEqual(await hub.to(home).request('fetch'), [{ id, rooms: [id, 'new'] }])
        // And once more, to be sent away.
        told.length = 0
        const again = hub.reload({ ids: [home] })
        await until(() => told.some(([, what]) => what === 'arriving'), 'on its way again')
        await hub.to(other).request('disconnect')
        await hub.drained()
        hub.emit('may')
        await until(() => reasons.length > 0, 'it is disconnected')
        assert.deepEqual(reasons, ['io server disconnect'])
        await again
        await until(() => told.some(([, , reason]) => reason === 'server namespace disconnect'), 'told')
        assert.deepEqual(await hub.to(other).request('fetch'), [])
        client.close()
      },
    )
  }
}

test.run()
