import assert from 'node:assert/strict'
import { io as open, type Socket } from 'socket.io-client'
import { test } from 'uvu'
import { memberOf, until } from '../reload/app.js'
import { site } from './site.js'

const ECHO = `
  io.on('connection', (socket) => {
    tell('connection', socket.id, socket.recovered, socket.handover !== undefined)
    socket.on('disconnect', (reason) => tell('disconnect', socket.id, reason))
    socket.on('join', (room, done) => { socket.join(room); socket.data.room = room; done() })
    socket.on('who', (done) => done(process.pid, [...socket.rooms], socket.data, socket.handshake.query.name))
    socket.on('later', (ms, done) => setTimeout(() => { socket.emit('late', process.pid); done(process.pid) }, ms))
    socket.on('ask me', async (done) => { done(); tell('answered', await socket.emitWithAck('question')) })
    socket.on('say', (room, ...args) => io.to(room).emit('said', ...args))
  })`

const connected = (port: number, query = {}): Promise<Socket> => {
  const socket = open(`http://127.0.0.1:${port}`, { transports: ['websocket'], forceNew: true, query })
  return new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(socket))
    socket.once('connect_error', reject)
  })
}

for (const options of ['{}', '{ connectionStateRecovery: {} }']) {
  site(
    `a client keeps its connection and its socket: ${options}`,
    { body: ECHO, options },
    async ({ hub, port, told }) => {
      const client = await connected(port, { name: 'ann' })
      let disconnects = 0
      client.on('disconnect', () => disconnects++)
      const { id } = client
      await client.emitWithAck('join', 'room')
      const before = memberOf(hub, 'web-1').pid
      await hub.reload()
      const after = memberOf(hub, 'web-1').pid
      assert.notEqual(before, after)
      assert.equal(disconnects, 0)
      assert.equal(client.id, id)
      const seen = await client.timeout(2000).emitWithAck('who')
      void seen
      const answer = await new Promise<unknown[]>((resolve) =>
        client.emit('who', (...args: unknown[]) => resolve(args)),
      )
      assert.deepEqual(answer, [after, [id, 'room'], { room: 'room' }, 'ann'])
      const said = new Promise<unknown[]>((resolve) => client.once('said', (...args) => resolve(args)))
      client.emit('say', 'room', 1)
      assert.deepEqual((await said)[0], 1)
      await until(() => told.length >= 3, 'told')
      assert.deepEqual(told, [
        [before, 'connection', id, false, false],
        [after, 'connection', id, true, true],
        [before, 'disconnect', id, 'handover'],
      ])
      assert.deepEqual(hub.stats().handover, { moved: 1, left: 0 })
      client.close()
      await until(() => told.length >= 4, 'told')
      assert.equal(told[3]?.[1], 'disconnect')
    },
  )
}

test.run()
