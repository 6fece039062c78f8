import assert from 'node:assert/strict'
import { io as open, type Socket } from 'socket.io-client'
import { test } from 'uvu'
import { memberOf, until } from '../reload/app.js'
import { serving, site } from './site.js'

const BODY = `
  for (const name of ['/', '/chat', /^\\/made-\\d+$/]) io.of(name).on('connection', (socket) => {
    tell('connection', socket.nsp.name, socket.id, handoverOf(socket)?.state)
    socket.data.name = socket.handshake.auth.name
    socket.on('disconnect', (reason) => tell('disconnect', socket.nsp.name, socket.id, reason))
    socket.on('who', (done) => done(process.pid, socket.data.name, socket.handshake.auth.name, socket.request.headers['x-marked'], socket.request.marked))
    socket.on('later', (ms, done) => setTimeout(() => {
      socket.emit('late', process.pid, Buffer.from('late'))
      io.of(socket.nsp.name).to(socket.id).emit('late', process.pid, Buffer.from('room'))
      socket.join('late room')
      socket.emit('asked', (answer) => { tell('answer', answer); done(process.pid) })
    }, ms))
    socket.on('rooms', (done) => done([...socket.rooms]))
  })
  io.use((socket, next) => { tell('io.use'); next() })
  io.engine.use((req, res, next) => { req.marked = 'by ' + process.pid; next() })
`
const ATTACH = `{ onHandover: (socket) => ({ of: socket.id, map: new Map([[1, socket.data.name]]) }) }`

function clientOf(port: number, nsp: string, manager?: Socket): Promise<Socket> {
  const extraHeaders = { 'x-marked': 'by the client' }
  const socket = manager
    ? manager.io.socket(nsp, { auth: { name: `ann${nsp}` } })
    : open(`http://127.0.0.1:${port}${nsp}`, {
        transports: ['websocket'],
        forceNew: true,
        reconnection: false,
        extraHeaders,
        auth: { name: `ann${nsp}` },
      })
  return new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(socket))
    socket.once('connect_error', reject)
  })
}

for (const [socketIo, options] of [
  ['socket.io', '{}'],
  ['socket.io', '{ connectionStateRecovery: {} }'],
  ['socket.io-4-7', '{}'],
  ['socket.io-4-7', '{ connectionStateRecovery: {} }'],
] as const) {
  site(
    `all namespaces move, middlewares see them as they should, and handlers finish: ${socketIo} ${options}`,
    { body: BODY, options, socketIo, attach: ATTACH, hub: { handoverTimeout: 30_000, gracePeriod: 60_000 } },
    async ({ hub, port, told }) => {
      const first = await clientOf(port, '/')
      const sockets = [first, await clientOf(port, '/chat', first), await clientOf(port, '/made-1', first)]
      const wrong: string[] = []
      const ids = sockets.map(({ id }) => id)
      for (const socket of sockets) socket.on('disconnect', (reason) => wrong.push(reason))
      const before = memberOf(hub, 'web-1').pid
      const who = (socket: Socket) =>
        new Promise<unknown[]>((resolve) => socket.emit('who', (...args: unknown[]) => resolve(args)))
      for (const socket of sockets) {
        const name = `ann${(socket as unknown as { nsp: string }).nsp}`
        assert.deepEqual(await who(socket), [before, name, name, 'by the client', `by ${before}`])
      }
      const lates = sockets.map((socket) => {
        const got: unknown[] = []
        socket.on('late', (pid: number, bytes: Buffer) => got.push([pid, Buffer.from(bytes).toString()]))
        socket.on('asked', (done: (answer: string) => void) => done('here'))
        const answered = socket.emitWithAck('later', 1500)
        // It is awaited below, unless something else fails before.
        answered.catch(() => {})
        return { got, answered }
      })
      // Its handlers run in the old process while the new one has the client.
      const reload = hub.reload()
      await until(() => told.filter(([pid, what]) => what === 'connection' && pid !== before).length === 3, 'moved')
      const after = memberOf(hub, 'web-1').pid
      assert.notEqual(after, before)
      for (const socket of sockets) {
        const name = `ann${(socket as unknown as { nsp: string }).nsp}`
        assert.deepEqual(await who(socket), [after, name, name, 'by the client', `by ${after}`])
      }
      for (const [i, { got, answered }] of lates.entries()) {
        assert.equal(await answered, before, 'the old process acknowledges')
        // Without recovery the room's packet, too, is written by whoever has the socket.
        await until(() => got.length === 2, `late ${i}`)
        assert.deepEqual(got.map((one) => (one as unknown[])[1]).sort(), ['late', 'room'])
        const rooms = (await sockets[i]?.emitWithAck('rooms')) as string[]
        assert.deepEqual(rooms.sort(), ['late room', ids[i]].sort(), 'joined by the old process')
      }
      await reload
      await until(() => told.filter(([, what]) => what === 'disconnect').length === 3, 'told')
      const uses = told.filter(([, what]) => what === 'io.use')
      assert.deepEqual(uses, [[before, 'io.use']], 'middlewares do not run again')
      for (const [i, id] of ids.entries()) {
        const nsp = ['/', '/chat', '/made-1'][i]
        const mine = told.filter((what) => what[3] === id)
        assert.deepEqual(mine, [
          [before, 'connection', nsp, id, undefined],
          [after, 'connection', nsp, id, { of: id, map: new Map([[1, `ann${nsp}`]]) }],
          [before, 'disconnect', nsp, id, 'handover'],
        ])
      }
      assert.deepEqual(wrong, [])
      assert.deepEqual(
        sockets.map(({ id }) => id),
        ids,
      )
      for (const socket of sockets) socket.off('disconnect')
      first.io._close()
    },
  )
}

site('a role that shrinks hands its sessions to those that stay', { body: BODY, count: 3 }, async ({ hub, port }) => {
  const sockets = await Promise.all(Array.from({ length: 9 }, () => clientOf(port, '/')))
  const wrong: string[] = []
  for (const socket of sockets) socket.on('disconnect', (reason) => wrong.push(reason))
  await hub.scale('web', 1)
  const { pid } = memberOf(hub, 'web-1')
  for (const socket of sockets) {
    const by = await new Promise((resolve) => socket.emit('who', (...args: unknown[]) => resolve(args[0])))
    assert.equal(by, pid)
  }
  assert.deepEqual(wrong, [])
  for (const socket of sockets) socket.off('disconnect').close()
})

site('new code that crashes at its start changes nothing for anybody', { body: BODY }, async ({ hub, port, app }) => {
  const socket = await clientOf(port, '/')
  const wrong: string[] = []
  socket.on('disconnect', (reason) => wrong.push(reason))
  app.write("throw new Error('on purpose')")
  await assert.rejects(hub.reload(), /on purpose|exited/)
  assert.deepEqual(wrong, [])
  const pid = memberOf(hub, 'web-1').pid
  const by = await new Promise((resolve) => socket.emit('who', (...args: unknown[]) => resolve(args[0])))
  assert.equal(by, pid)
  // And a later one that does not goes on where they were.
  app.write(serving(BODY))
  await hub.reload()
  assert.deepEqual(wrong, [])
  assert.deepEqual(hub.stats().handover, { moved: 1, left: 0 })
  socket.off('disconnect').close()
})

test.run()
