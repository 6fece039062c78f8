import assert from 'node:assert/strict'
import { test } from 'uvu'
import { memberOf, until } from '../reload/app.js'
import { site as plainSite, VERSIONS as WS_VERSIONS } from './plain-ws-site.js'
import { assertFine, Poller } from './poller.js'
import { frame, RawClient } from './raw-client.js'
import { site } from './site.js'

/** More than a connection takes at once. */
const LONG = 20_000_000

const BODY = `
  io.on('connection', (socket) => {
    tell('connection', socket.data.wish)
    socket.on('wish', (wish, done) => { socket.data.wish = wish; done() })
    socket.on('who', (done) => done(process.pid))
    socket.on('disconnect', (reason) => tell('disconnect', socket.data.wish, reason))
  })
  const onHandover = (socket) => {
    const { wish } = socket.data
    if (wish === 'say') socket.emit('bye', 'x'.repeat(${LONG}))
    else if (wish === 'leave') socket.disconnect()
    else if (wish === 'cut') socket.disconnect(true)
    else throw new Error('on purpose')
  }
  // What is thrown is not to end the process.
  process.on('uncaughtException', (error) => tell('thrown', error.message))`

const PATIENT = { handoverTimeout: 30_000, gracePeriod: 60_000 }

for (const socketIo of ['socket.io', 'socket.io-4-7']) {
  site(
    `onHandover may send, disconnect, and throw: ${socketIo}`,
    { body: BODY, socketIo, attach: '{ onHandover: (socket) => onHandover(socket) }', hub: PATIENT },
    async ({ hub, port, told }) => {
      const wishes = ['say', 'leave', 'cut', 'throw']
      const sockets = new Map(wishes.map((wish) => [wish, new RawClient(port)]))
      const pollers = new Map(wishes.map((wish) => [wish, new Poller(port)]))
      for (const [wish, client] of sockets) {
        await client.connect()
        client.send(frame(1, `421["wish","${wish}"]`))
        await until(() => client.packets.includes('431[]'), 'it wishes')
        client.frames.length = 0
      }
      for (const [wish, client] of pollers) {
        await client.connect()
        await client.send(`421["wish","${wish}"]`)
        await until(() => client.packets.includes('431[]'), 'it wishes')
        client.packets.length = 0
      }
      const before = memberOf(hub, 'web-1').pid
      await hub.reload()
      const { pid } = memberOf(hub, 'web-1')
      const bye = `42["bye","${'x'.repeat(LONG)}"]`
      for (const clients of [sockets, pollers]) {
        for (const wish of ['say', 'throw']) {
          const client = clients.get(wish) as RawClient | Poller
          if (client instanceof Poller) client.send('422["who"]')
          else client.send(frame(1, '422["who"]'))
          const expected = wish === 'say' ? [bye, `432[${pid}]`] : [`432[${pid}]`]
          await until(() => client.packets.length >= expected.length, `${wish} goes on`)
          assert.ok(
            expected.every((packet, i) => client.packets[i] === packet),
            `${wish}: all of it, and nothing else`,
          )
        }
        for (const wish of ['leave', 'cut']) {
          const client = clients.get(wish) as RawClient | Poller
          await until(() => client.packets.length > 0, `${wish} is told`)
          // engine.io tells those who poll that it closes, too.
          const packets = client.packets.filter((packet) => packet !== '1')
          assert.deepEqual(packets, ['41'])
        }
      }
      await until(() => sockets.get('cut')?.ended, 'it is cut off')
      assert.ok(!sockets.get('leave')?.ended, 'it may come to another namespace')
      await until(() => told.filter(([, what]) => what === 'disconnect').length === 8, 'each has left the old process')
      const of = (what: string, by: unknown) =>
        told.filter((one) => one[0] === by && one[1] === what).map(([, , ...more]) => more.join())
      assert.deepEqual(
        of('connection', pid).sort(),
        ['say', 'say', 'throw', 'throw'],
        'who has left does not come again',
      )
      assert.deepEqual(
        new Set(of('disconnect', before)),
        new Set([
          'say,handover',
          'throw,handover',
          'leave,server namespace disconnect',
          'cut,server namespace disconnect',
        ]),
      )
      assert.deepEqual(of('thrown', before), ['on purpose', 'on purpose'])
      const alive = ['say', 'leave', 'throw'].flatMap((wish) => pollers.get(wish) ?? [])
      assertFine(...alive)
      for (const client of [...sockets.values(), ...pollers.values()]) client.close()
    },
  )
}

const PLAIN = `
  const wishes = new Map()
  wss.on('connection', (ws) => {
    tell('connection', handoverOf(ws)?.state)
    ws.on('message', (data) => {
      if (data.toString() === 'who') ws.send('pid ' + process.pid)
      else { wishes.set(ws, data.toString()); ws.send('yes') }
    })
    ws.on('close', (code) => tell('close', wishes.get(ws), code))
  })
  const onHandover = (ws) => {
    const wish = wishes.get(ws)
    if (wish === 'say') ws.send('x'.repeat(${LONG}))
    else if (wish === 'close') ws.close(4000, 'bye')
    else ws.terminate()
    return wish
  }`

for (const ws of WS_VERSIONS) {
  plainSite(
    `onHandover may send, and close: ${ws}`,
    { body: PLAIN, ws, serve: '{ webSockets: wss, onHandover: (ws) => onHandover(ws) }', hub: PATIENT },
    async ({ hub, port, told }) => {
      const clients = new Map(['say', 'close', 'terminate'].map((wish) => [wish, new RawClient(port, '', '/plain')]))
      for (const [wish, client] of clients) {
        await client.opened()
        client.send(frame(1, wish))
        await until(() => client.texts.includes('yes'), 'it wishes')
      }
      const before = memberOf(hub, 'web-1').pid
      const reload = hub.reload()
      const closing = clients.get('close') as RawClient
      await until(() => closing.frames.some(({ opcode }) => opcode === 8), 'closed')
      closing.send(frame(8, Buffer.from([15, 160])))
      await reload
      const client = clients.get('say') as RawClient
      client.send(frame(1, 'who'))
      await until(() => client.texts.length === 3, 'it goes on')
      const [, long, who] = client.texts
      assert.ok(long === 'x'.repeat(LONG), 'all of it')
      const { pid } = memberOf(hub, 'web-1')
      assert.equal(who, `pid ${pid}`)
      await until(() => ['close', 'terminate'].every((wish) => clients.get(wish)?.ended), 'gone')
      assert.deepEqual(
        told.filter(([by]) => by === pid).map(([, ...what]) => what),
        [['connection', 'say']],
      )
      assert.deepEqual(
        told
          .filter(([by, what]) => by === before && what === 'close')
          .map(([, , ...what]) => what)
          .sort(),
        [
          ['close', 4000],
          ['terminate', 1006],
        ],
      )
      assert.deepEqual(hub.stats().handover, { moved: 1, left: 0 })
      client.close()
    },
  )
}

test.run()
