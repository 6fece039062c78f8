import assert from 'node:assert/strict'
import { io as open } from 'socket.io-client'
import { test } from 'uvu'
import { memberOf, until } from '../reload/app.js'
import { Client } from './plain-ws-site.js'
import { frame, RawClient } from './raw-client.js'
import { site } from './site.js'

/** Sessions of Socket.IO and plain WebSockets on one server. */
const BOTH = {
  body: `
    const { WebSocketServer } = await import(${JSON.stringify(import.meta.resolve('ws'))})
    const wss = new WebSocketServer({ noServer: true })
    server.on('upgrade', (request, socket, head) => {
      if (request.url.startsWith('/chat'))
        wss.handleUpgrade(request, socket, head, (ws) => wss.emit('connection', ws, request))
    })
    const filling = (send) => {
      for (let i = 0; i < 100; i++) send('x'.repeat(100_000))
      tell('filled')
    }
    wss.on('connection', (ws) => ws.on('message', (data) => {
      if (data.toString() === 'fill') filling((what) => ws.send(what))
      else ws.send('pid ' + process.pid)
    }))
    io.on('connection', (socket) => {
      socket.on('fill', () => filling((what) => socket.emit('filling', what)))
      socket.on('who', (done) => done(process.pid))
    })`,
  options: '{ destroyUpgrade: false }',
  serve: '{ webSockets: wss }',
  hub: { handoverTimeout: 2000, gracePeriod: 60_000 },
}

site('a plain WebSocket that cannot move keeps no session of Socket.IO from it', BOTH, async ({ hub, port, told }) => {
  const stuck = new RawClient(port, '', '/chat')
  await stuck.opened()
  stuck.pause()
  stuck.send(frame(1, 'fill'))
  await until(() => told.length > 0, 'filled')
  const client = open(`http://127.0.0.1:${port}`, { transports: ['websocket'], forceNew: true, reconnection: false })
  await until(() => client.connected, 'connected')
  await hub.reload()
  assert.equal(await client.emitWithAck('who'), memberOf(hub, 'web-1').pid)
  assert.deepEqual(hub.stats().handover, { moved: 1, left: 1 })
  stuck.close()
  client.close()
})

site('and the other way round', BOTH, async ({ hub, port, told }) => {
  const stuck = new RawClient(port)
  await stuck.connect()
  stuck.pause()
  stuck.send(frame(1, '42["fill"]'))
  await until(() => told.length > 0, 'filled')
  const client = await new Client(port).open()
  await hub.reload()
  assert.equal(await client.ask('who', 'pid'), `pid ${memberOf(hub, 'web-1').pid}`)
  assert.deepEqual(hub.stats().handover, { moved: 1, left: 1 })
  stuck.close()
  client.socket.terminate()
})

test.run()
