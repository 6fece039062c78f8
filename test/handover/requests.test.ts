import assert from 'node:assert/strict'
import http from 'node:http'
import type { PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import { linksOf, memberOf, until } from '../reload/app.js'
import { assertFine, Poller, twoPollers } from './poller.js'
import { frame, RawClient } from './raw-client.js'
import { serving, site } from './site.js'

const BODY = `
  const { setTimeout: sleep } = await import('node:timers/promises')
  io.on('connection', (socket) => {
    tell('connection', socket.id)
    socket.onAny((event, ...args) => {
      const done = typeof args.at(-1) === 'function' ? args.pop() : undefined
      socket.emit('got', event, ...args)
      done?.(process.pid)
    })
    socket.on('disconnect', (reason) => { if (reason !== 'handover') tell('left', reason) })
  })
`
/** Sessions that come are opened when the test says so: a middleware has them wait for it. */
const HESITANT = `
  let go = () => {}
  const may = new Promise((resolve) => { go = resolve })
  hub.on('may', go)
  io.engine.use((req, res, next) => {
    if (req.url.includes('sid=') && req.complete && !req.aborted) return next()
    tell('arriving')
    may.then(() => next())
  })
  ${BODY}
`

/** Some requests take their time before engine.io sees them. */
const SLOW = `
  io.engine.use((req, res, next) => {
    if (!req.url.includes('slow=1')) return next()
    // The hub's events go to the next process by then.
    process.once('SIGUSR2', () => next())
    tell('slow')
  })
  ${BODY}
`

/** The worker that has the only session, and the other one. */
async function placesOf(hub: PrimaryHub, told: unknown[][]): Promise<[string, string]> {
  await until(() => told.length > 0, 'told')
  return memberOf(hub, 'web-1').pid === told[0]?.[0] ? ['web-1', 'web-2'] : ['web-2', 'web-1']
}

const VERSIONS = ['socket.io', 'socket.io-4-7']
const PATIENT = { handoverTimeout: 30_000, gracePeriod: 60_000 }

for (const socketIo of VERSIONS) {
  site(
    `an open poll is answered, and the next one finds its session: ${socketIo}`,
    { body: BODY, socketIo, hub: PATIENT },
    async ({ hub, port, told }) => {
      const client = new Poller(port)
      await client.connect()
      const before = memberOf(hub, 'web-1').pid
      for (let i = 0; i < 3; i++) {
        await hub.reload()
        await client.send(`42${i}["who"]`)
        const { pid } = memberOf(hub, 'web-1')
        assert.notEqual(pid, before)
        await until(() => client.packets.length >= 2, 'answers')
        assert.deepEqual(client.packets.splice(0), ['42["got","who"]', `43${i}[${pid}]`])
      }
      // Each time one noop, or perhaps some, but no loop of them.
      const noops = client.answers.filter((answer) => answer === '6')
      assert.ok(noops.length >= 3 && noops.length < 30, `${noops.length}`)
      assertFine(client)
      assert.deepEqual(hub.stats().handover, { moved: 3, left: 0 })
      assert.equal(told.filter(([, what]) => what === 'left').length, 0)
      client.close()
    },
  )

  site(
    `a post that is being read is read to its end, and what comes behind it goes on: ${socketIo}`,
    { body: BODY, socketIo, hub: PATIENT },
    async ({ hub, port, told }) => {
      const [client, other] = await twoPollers(port)
      const { pid } = memberOf(hub, 'web-1')
      const post = client.request('POST')
      post.request.write('421["half",')
      const reload = hub.reload()
      // All others have moved.
      await until(() => told.filter(([by, what]) => what === 'connection' && by !== pid).length === 1, 'moved')
      // The session has not: this one is answered where it was.
      post.request.end('"done"]')
      assert.equal(await post.answer, 'ok')
      await client.send('422["next"]')
      await reload
      await client.send('423["last"]')
      await until(() => client.packets.length >= 6, 'answers')
      const after = memberOf(hub, 'web-1').pid
      const [, , , second] = client.packets
      assert.deepEqual(client.packets, [
        '42["got","half","done"]',
        `431[${pid}]`,
        '42["got","next"]',
        second,
        '42["got","last"]',
        `433[${after}]`,
      ])
      assertFine(client, other)
      assert.deepEqual(hub.stats().handover, { moved: 2, left: 0 })
      for (const one of [client, other]) one.close()
    },
  )

  site(
    `what middlewares of io.engine take their time for is waited for, too: ${socketIo}`,
    { body: SLOW, socketIo, hub: PATIENT },
    async ({ hub, port, told }) => {
      const [posting, upgrading, other] = [new Poller(port), new Poller(port), new Poller(port)]
      for (const client of [posting, upgrading, other]) await client.connect()
      const { pid } = memberOf(hub, 'web-1')
      const post = posting.request('POST', '&slow=1').whole('421["slow"]')
      const ws = new RawClient(port, `&slow=1&sid=${upgrading.sid}`)
      ws.send(frame(1, '2probe'))
      await until(() => told.filter(([, what]) => what === 'slow').length === 2, 'both are under way')
      const reload = hub.reload()
      await until(() => told.some(([by, what]) => what === 'connection' && by !== pid), 'the other one has moved')
      process.kill(pid as number, 'SIGUSR2')
      assert.equal(await post, 'ok')
      await until(() => posting.packets.length >= 2, 'answers')
      assert.deepEqual(posting.packets, ['42["got","slow"]', `431[${pid}]`])
      await until(() => ws.texts.includes('3probe'), 'probed')
      upgrading.paused = true
      await until(() => !upgrading.polling, 'paused')
      ws.send(frame(1, '5'))
      await reload
      ws.send(frame(1, '422["who"]'))
      await until(() => ws.packets.includes(`432[${memberOf(hub, 'web-1').pid}]`) || ws.ended, 'upgraded')
      assert.equal(ws.ended, false)
      assertFine(posting, upgrading, other)
      assert.deepEqual(hub.stats().handover, { moved: 3, left: 0 })
      ws.close()
      for (const client of [posting, upgrading, other]) client.close()
    },
  )

  site(
    `requests wait while their session is on its way, wherever they come in: ${socketIo}`,
    { body: BODY, count: 2, socketIo, hub: PATIENT },
    async ({ hub, port, told, app }) => {
      const client = new Poller(port)
      await client.connect()
      const [id] = await placesOf(hub, told)
      // A connection that leads to the other worker, and stays.
      const elsewhere = new Poller(port, new http.Agent({ keepAlive: true, maxSockets: 1 }))
      await elsewhere.get()
      app.write(serving(HESITANT, { socketIo }))
      const reload = hub.reload({ ids: [id] })
      await until(() => told.some(([, what]) => what === 'arriving'), 'on its way')
      const posts = client.send('421["held"]')
      await until(() => client.answers.at(-1) === '6', 'its poll has been answered')
      elsewhere.sid = client.sid
      let settled = false
      posts.then(() => {
        settled = true
      })
      // What comes to nobody in the meantime shall come to it afterwards.
      await new Promise((resolve) => setTimeout(resolve, 300))
      assert.equal(settled, false, 'it waits')
      assert.deepEqual(client.packets, [])
      hub.emit('may')
      await posts
      const post = elsewhere.request('POST').whole('422["forwarded"]')
      assert.equal(await post, 'ok')
      await until(() => client.packets.length >= 4, 'answers')
      await reload
      const { pid } = memberOf(hub, id)
      assert.deepEqual(client.packets, ['42["got","held"]', `431[${pid}]`, '42["got","forwarded"]', `432[${pid}]`])
      assertFine(client)
      for (const one of [client, elsewhere]) one.close()
    },
  )
}

site(
  'clients that poll go to workers that stay when a role shrinks, and on from there',
  { body: BODY, count: 3, hub: PATIENT },
  async ({ hub, port }) => {
    const clients = Array.from({ length: 6 }, () => new Poller(port))
    await Promise.all(clients.map((client) => client.connect()))
    await hub.scale('web', 1)
    for (const [n, then] of [() => hub.reload(), () => hub.reload(), undefined].entries()) {
      await Promise.all(clients.map((client) => client.send(`42${n}["who"]`)))
      const { pid } = memberOf(hub, 'web-1')
      for (const { packets } of clients) {
        await until(() => packets.length >= 2, 'answers')
        assert.deepEqual(packets.splice(0), ['42["got","who"]', `43${n}[${pid}]`])
      }
      await then?.()
    }
    assertFine(...clients)
    assert.deepEqual(hub.stats().handover?.left, 0)
    for (const client of clients) client.close()
  },
)

site(
  'a session that does not arrive within handoverTimeout is lost, and its requests are answered',
  { body: BODY, hub: { handoverTimeout: 1000, gracePeriod: 60_000 } },
  async ({ hub, port, app }) => {
    const client = new Poller(port)
    await client.connect()
    app.write(serving(HESITANT))
    await hub.reload()
    await until(() => client.wrong.length > 0, 'its poll is refused')
    assert.match(client.wrong[0] ?? '', /400.*Session ID unknown/)
    assert.deepEqual(hub.stats().handover, { moved: 0, left: 1 })
    client.close()
  },
)

site(
  'a worker that only passes a poll on has it answered before it ends',
  // No ping ends a poll.
  { body: BODY, count: 2, hub: PATIENT, options: '{ pingInterval: 300000, pingTimeout: 300000 }' },
  async ({ hub, port, told }) => {
    const client = new Poller(port)
    await client.connect()
    const [owner, other] = await placesOf(hub, told)
    // The session goes on over connections of the other worker.
    const elsewhere = new Poller(port)
    const opened = [elsewhere.get(), elsewhere.get()]
    await Promise.all(opened)
    client.paused = true
    client.send('42["end"]')
    await until(() => !client.polling, 'it polls no more')
    assert.deepEqual(client.packets, ['42["got","end"]'])
    elsewhere.sid = client.sid
    elsewhere.poll()
    for (const [i, id] of [other, owner, other].entries()) {
      await hub.reload({ ids: [id] })
      await elsewhere.send(`42${i}["who"]`)
      const { pid } = memberOf(hub, owner)
      await until(() => elsewhere.packets.length >= 2, 'answers')
      assert.deepEqual(elsewhere.packets.splice(0), ['42["got","who"]', `43${i}[${pid}]`])
    }
    assert.equal(linksOf(hub, owner).length, 1)
    assertFine(client, elsewhere)
    for (const one of [client, elsewhere]) one.close()
  },
)

test.run()
