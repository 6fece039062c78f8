import assert from 'node:assert/strict'
import { io as open } from 'socket.io-client'
import { test } from 'uvu'
import { memberOf, until } from '../reload/app.js'
import { LOAD, LOAD_OPTIONS, underLoad } from './load.js'
import { assertFine, Poller, twoPollers } from './poller.js'
import { frame, RawClient } from './raw-client.js'
import { site } from './site.js'

const BODY = `
  io.on('connection', (socket) => {
    tell('connection', socket.conn.transport.name)
    socket.on('who', (done) => done(process.pid, socket.conn.transport.name))
    socket.on('disconnect', (reason) => { if (reason !== 'handover') tell('left', reason) })
  })
`
const VERSIONS = ['socket.io', 'socket.io-4-7']
const PATIENT = { handoverTimeout: 30_000, gracePeriod: 60_000 }

/** Has it go on over the WebSocket, which is probed: a client waits for its poll to end before. */
async function upgrade(client: Poller, ws: RawClient): Promise<void> {
  client.paused = true
  await until(() => !client.polling, 'paused')
  ws.send(frame(1, '5'))
}

/** Asks over the WebSocket, and gets an answer of that process there. */
async function assertUpgraded(ws: RawClient, n: number, pid: number | undefined): Promise<void> {
  ws.send(frame(1, `42${n}["who"]`))
  const answer = `43${n}[${pid},"websocket"]`
  await until(() => ws.packets.includes(answer) || ws.ended, answer)
  assert.ok(ws.packets.includes(answer), 'the WebSocket stays')
}

for (const socketIo of VERSIONS) {
  site(
    `a client may upgrade after its session has moved, and moves with its connection then: ${socketIo}`,
    { body: BODY, socketIo, hub: PATIENT },
    async ({ hub, port, told }) => {
      const client = new Poller(port)
      await client.connect()
      await hub.reload()
      const ws = new RawClient(port, `&sid=${client.sid}`)
      ws.send(frame(1, '2probe'))
      await until(() => ws.texts.includes('3probe'), 'probed')
      await upgrade(client, ws)
      await assertUpgraded(ws, 1, memberOf(hub, 'web-1').pid)
      await hub.reload()
      await assertUpgraded(ws, 2, memberOf(hub, 'web-1').pid)
      assertFine(client)
      assert.deepEqual(hub.stats().handover, { moved: 2, left: 0 })
      assert.deepEqual(
        told.filter(([, what]) => what === 'connection').map(([, , name]) => name),
        ['polling', 'polling', 'websocket'],
      )
      ws.close()
      client.close()
    },
  )

  for (const stage of ['connected', 'probed'] as const) {
    site(
      `a session moves when its upgrade has ended, which was ${stage} when it began: ${socketIo}`,
      { body: BODY, socketIo, hub: PATIENT },
      async ({ hub, port, told }) => {
        const [client, other] = await twoPollers(port)
        const { pid } = memberOf(hub, 'web-1')
        const ws = new RawClient(port, `&sid=${client.sid}`)
        if (stage === 'probed') ws.send(frame(1, '2probe'))
        // engine.io has answered to the upgrade, or to the probe.
        await until(() => (stage === 'probed' ? ws.texts.includes('3probe') : ws.upgraded), stage)
        const reload = hub.reload()
        await until(() => told.some(([by, what]) => what === 'connection' && by !== pid), 'the other one has moved')
        await client.send('421["who"]')
        await until(() => client.packets.length > 0, 'it polls where it was')
        assert.deepEqual(client.packets, [`431[${pid},"polling"]`])
        if (stage !== 'probed') ws.send(frame(1, '2probe'))
        await until(() => ws.texts.includes('3probe'), 'probed')
        await upgrade(client, ws)
        await reload
        await assertUpgraded(ws, 2, memberOf(hub, 'web-1').pid)
        assertFine(client, other)
        assert.deepEqual(hub.stats().handover, { moved: 2, left: 0 })
        for (const each of [ws, client, other]) each.close()
      },
    )
  }
}

site(
  'what a client posts while it upgrades is answered, also when a post was under way as the handover began',
  { body: BODY, hub: PATIENT },
  async ({ hub, port, told }) => {
    const [client, other] = await twoPollers(port)
    const { pid } = memberOf(hub, 'web-1')
    const ws = new RawClient(port, `&sid=${client.sid}`)
    ws.send(frame(1, '2probe'))
    await until(() => ws.texts.includes('3probe'), 'probed')
    const { request, answer } = client.request('POST')
    request.setHeader('expect', '100-continue')
    const expected = new Promise((resolve) => request.once('continue', resolve))
    request.flushHeaders()
    await expected
    const reload = hub.reload()
    await until(() => told.some(([by, what]) => what === 'connection' && by !== pid), 'the other one has moved')
    request.end('421["who"]')
    assert.equal(await answer, 'ok')
    await client.send('422["who"]')
    await until(() => client.packets.length > 1, 'answered')
    assert.deepEqual(client.packets, [`431[${pid},"polling"]`, `432[${pid},"polling"]`])
    await upgrade(client, ws)
    await reload
    await assertUpgraded(ws, 3, memberOf(hub, 'web-1').pid)
    assertFine(client, other)
    assert.deepEqual(hub.stats().handover, { moved: 2, left: 0 })
    for (const each of [ws, client, other]) each.close()
  },
)

site(
  'an upgrade that does not end within handoverTimeout is counted',
  { body: BODY, hub: { handoverTimeout: 1000, gracePeriod: 60_000 } },
  async ({ hub, port }) => {
    const client = new Poller(port)
    await client.connect()
    const ws = new RawClient(port, `&sid=${client.sid}`)
    ws.send(frame(1, '2probe'))
    await until(() => ws.texts.includes('3probe'), 'probed')
    await hub.reload()
    assert.deepEqual(hub.stats().handover, { moved: 0, left: 1 })
    ws.close()
    client.close()
  },
)

site(
  'clients upgrade while workers are reloaded, and lose nothing',
  { count: 2, body: LOAD, joining: LOAD_OPTIONS, hub: PATIENT },
  async (where) => {
    const { wrong } = await underLoad(where, { websockets: 1, polling: 1, upgrading: 4 }, async () => {
      for (let i = 0; i < 2; i++) await where.hub.reload()
    })
    assert.deepEqual(wrong, [])
    assert.deepEqual(where.hub.stats().handover?.left, 0)
  },
)

site('what is about to be opened is opened, and moves', { body: BODY, hub: PATIENT }, async ({ hub, port }) => {
  const clients = Array.from({ length: 8 }, () =>
    open(`http://127.0.0.1:${port}`, { forceNew: true, autoConnect: false }),
  )
  const wrong: string[] = []
  for (const client of clients) {
    client.on('disconnect', (reason) => wrong.push(reason))
    client.on('connect_error', ({ message }) => wrong.push(message))
  }
  const reload = hub.reload()
  for (const client of clients) client.connect()
  await reload
  await hub.reload()
  await until(() => clients.every(({ connected }) => connected), 'all are connected')
  const answers = await Promise.all(clients.map((client) => new Promise((resolve) => client.emit('who', resolve))))
  assert.deepEqual(new Set(answers), new Set([memberOf(hub, 'web-1').pid]))
  assert.deepEqual(wrong, [])
  for (const client of clients) client.off('disconnect').close()
})

test.run()
