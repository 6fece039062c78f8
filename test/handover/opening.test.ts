import assert from 'node:assert/strict'
import net from 'node:net'
import { test } from 'uvu'
import { memberOf, until } from '../reload/app.js'
import { Poller } from './poller.js'
import { frame, RawClient } from './raw-client.js'
import { site } from './site.js'

const BODY = `
  const { setImmediate: turn } = await import('node:timers/promises')
  io.on('connection', (socket) => {
    const { address, headers } = socket.handshake
    tell('connection', socket.conn.transport.name, address, Object.keys(headers).filter((name) => name.includes('hubwire')))
    socket.on('who', (done) => done(process.pid))
    socket.on('disconnect', async (reason) => {
      // All that is left to be done for the others is done then.
      for (let i = 0; i < 50; i++) await turn()
      tell('gone', reason)
    })
  })`

const VERSIONS = ['socket.io', 'socket.io-4-7']
const PATIENT = { handoverTimeout: 30_000, gracePeriod: 60_000 }

/** One line of the request's head is still to come. */
const HEAD = 'GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n'

for (const socketIo of VERSIONS) {
  for (const transport of ['websocket', 'polling']) {
    site(
      `a session that is about to be opened when all others have gone is opened where these are: ${transport}, ${socketIo}`,
      { body: BODY, socketIo, hub: PATIENT },
      async ({ hub, port, told }) => {
        const other = new RawClient(port)
        await other.connect()
        const before = memberOf(hub, 'web-1').pid
        const connections = () => hub.stats().http?.workers[0]?.connections
        const late = transport === 'websocket' ? new RawClient(port, '', '/socket.io/', true) : net.connect(port)
        if (late instanceof net.Socket) late.write(HEAD)
        await until(() => connections() === 2, 'its connection is there')
        const reload = hub.reload()
        await until(() => told.some(([, what]) => what === 'gone'), 'the other one has gone')
        let client: RawClient | Poller
        if (late instanceof net.Socket) {
          let answer = ''
          late.on('data', (chunk) => {
            answer += chunk
          })
          late.write('\r\n')
          await until(() => answer.includes('"sid"'), 'opened')
          const poller = new Poller(port)
          poller.sid = /"sid":"([^"]+)"/.exec(answer)?.[1] ?? ''
          poller.poll()
          poller.send('40')
          await until(() => poller.packets.some((packet) => packet.startsWith('40{')), 'connected')
          client = poller
        } else {
          client = late
          late.send(Buffer.from('\r\n'))
          await late.connect()
        }
        await reload
        const { pid } = memberOf(hub, 'web-1')
        assert.notEqual(pid, before)
        if (client instanceof Poller) await client.send('427["who"]')
        else client.send(frame(1, '427["who"]'))
        await until(() => client.packets.includes(`437[${pid}]`), 'it goes on')
        assert.deepEqual(
          told.filter(([, what]) => what === 'connection'),
          [
            [before, 'connection', 'websocket', '127.0.0.1', []],
            [pid, 'connection', 'websocket', '127.0.0.1', []],
            [pid, 'connection', transport, '127.0.0.1', []],
          ],
        )
        assert.deepEqual(hub.stats().handover, { moved: 1, left: 0 })
        if (client instanceof Poller) assert.deepEqual(client.wrong, [])
        if (late instanceof net.Socket) late.destroy()
        client.close()
        other.close()
      },
    )
  }
}

/** It answers when its process is told to, past the hub. */
const SLOW = `
  server.on('request', (req, res) => {
    if (req.url !== '/slow') return
    process.once('SIGUSR2', () => res.end())
    tell('slow')
  })
  ${BODY}`

site(
  'one that is opened all the same, behind an answer that is still to come, is counted',
  { body: SLOW, hub: PATIENT },
  async ({ hub, port, told }) => {
    const other = new RawClient(port)
    await other.connect()
    const { pid } = memberOf(hub, 'web-1')
    const late = net.connect(port)
    late.on('error', () => {})
    late.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n')
    await until(() => told.some(([, what]) => what === 'slow'), 'it waits for its answer')
    const reload = hub.reload()
    await until(() => told.some(([, what]) => what === 'gone'), 'the other one has gone')
    late.write(`${HEAD.replace('polling', 'websocket')}Connection: Upgrade\r\nUpgrade: websocket\r\n`)
    late.write(`Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${'x'.repeat(22)}==\r\n\r\n`)
    await until(() => hub.stats().handover?.left === 1, 'counted')
    process.kill(pid as number, 'SIGUSR2')
    await reload
    assert.deepEqual(hub.stats().handover, { moved: 1, left: 1 })
    late.destroy()
    other.close()
  },
)

test.run()
