import assert from 'node:assert/strict'
import { test } from 'uvu'
import { memberOf, until } from '../reload/app.js'
import { assertFine, Poller } from './poller.js'
import { frame, RawClient } from './raw-client.js'
import { site } from './site.js'

/** It goes on counting for as long as it has the client. */
const BODY = `
  io.on('connection', (socket) => {
    let n = 0
    let counting
    const count = () => {
      for (let i = 0; i < 60; i++) socket.emit('filling', i, 'x'.repeat(200_000))
      counting = setInterval(() => {
        socket.emit('count', n, Buffer.from([n]))
        tell('count', ++n)
      }, 5)
    }
    socket.on('count', count)
    socket.on('who', (done) => done(process.pid))
    socket.on('disconnect', () => {
      tell('disconnect')
      clearInterval(counting)
      if (counting) socket.emit('counted', n)
    })
  })`

const PATIENT = { handoverTimeout: 30_000, gracePeriod: 60_000 }
/** So much waits for the client at least. */
const WAITING = 20

/** All that the client was sent, once and in order. */
function assertComplete(packets: readonly string[]): void {
  const short = packets.map((packet) => packet.replace(/x{200000}/, 'x'))
  const n = Number(/^42\["counted",(\d+)\]$/.exec(short.find((packet) => packet.startsWith('42["counted"')) ?? '')?.[1])
  assert.ok(n > WAITING, `${n} waited`)
  assert.deepEqual(short, [
    ...Array.from({ length: 60 }, (_, i) => `42["filling",${i},"x"]`),
    ...Array.from({ length: n }, (_, i) => [
      `451-["count",${i},{"_placeholder":true,"num":0}]`,
      (i & 255).toString(16).padStart(2, '0'),
    ]).flat(),
    `42["counted",${n}]`,
  ])
}

for (const socketIo of ['socket.io', 'socket.io-4-7']) {
  site(
    `what is half written, and what waits behind it, arrives whole and in order: ${socketIo}`,
    { body: BODY, socketIo, hub: PATIENT },
    async ({ hub, port, told }) => {
      const client = new RawClient(port)
      await client.connect()
      client.pause()
      client.send(frame(1, '42["count"]'))
      // When this one has gone, the other has been looked at: it is before it.
      const other = new RawClient(port)
      await other.connect()
      await until(() => told.length > 0, 'it counts')
      const reload = hub.reload()
      await until(() => told.some(([, what]) => what === 'disconnect'), 'the other has gone')
      const from = told.length
      await until(() => told.length >= from + WAITING, 'it is sent more')
      assert.equal(hub.stats().handover?.moved, 1)
      client.resume()
      await reload
      client.send(frame(1, '421["who"]'))
      const last = `431[${memberOf(hub, 'web-1').pid}]`
      await until(() => client.packets.at(-1) === last || client.ended, 'it goes on')
      assert.equal(client.ended, false)
      assertComplete(client.packets.slice(0, -1))
      assert.deepEqual(hub.stats().handover, { moved: 2, left: 0 })
      client.close()
      other.close()
    },
  )

  site(
    `what waits for a poll when a client moves arrives with the next one, in order: ${socketIo}`,
    { body: BODY, socketIo, hub: PATIENT },
    async ({ hub, port, told }) => {
      const client = new Poller(port)
      await client.connect()
      client.paused = true
      await client.send('42["count"]')
      await until(() => !client.polling, 'it polls no more')
      await until(() => told.length >= WAITING, 'it is sent more')
      await hub.reload()
      client.paused = false
      client.poll()
      await client.send('421["who"]')
      const last = `431[${memberOf(hub, 'web-1').pid}]`
      await until(() => client.packets.at(-1) === last || client.wrong.length > 0, 'it goes on')
      assertFine(client)
      // Binary packets come as base64.
      const packets = client.packets
        .slice(0, -1)
        .map((packet) => (packet.startsWith('b') ? Buffer.from(packet.slice(1), 'base64').toString('hex') : packet))
      assertComplete(packets)
      assert.deepEqual(hub.stats().handover, { moved: 1, left: 0 })
      client.close()
    },
  )
}

test.run()
