import assert from 'node:assert/strict'
import { io as open } from 'socket.io-client'
import { test } from 'uvu'
import { alive, memberOf, until } from '../reload/app.js'
import { frame, RawClient } from './raw-client.js'
import { serving, site } from './site.js'

/** For so long, in milliseconds, an acknowledgement could be waited for. */
const TIMEOUT = 12_000

const BODY = `
  io.on('connection', (socket) => {
    socket.on('never', () => {})
    socket.on('pid', (done) => done(process.pid))
    socket.on('ask in vain', () => socket.emit('asked in vain', () => tell('answer')))
    socket.on('ask', () => socket.emit('asked', () => tell('answer')))
  })
`

for (const transport of ['websocket', 'polling']) {
  site(
    `acknowledgements that never come keep no process from ending: ${transport}`,
    { body: BODY, hub: { handoverTimeout: TIMEOUT, gracePeriod: 60_000 } },
    async ({ hub, port, told }) => {
      const client = open(`http://127.0.0.1:${port}`, { transports: [transport], forceNew: true, reconnection: false })
      const wrong: string[] = []
      client.on('disconnect', (reason) => wrong.push(reason))
      await until(() => client.connected, 'connected')
      const since = performance.now()
      client.emit('never', () => {})
      client.emit('ask in vain')
      await client.emitWithAck('pid')
      // It has been owed for as long as anything is waited for.
      await until(() => performance.now() - since > TIMEOUT, 'time passes')
      client.emit('ask in vain')
      await client.emitWithAck('pid')
      let begun = 0
      hub.lifecycle.on('reload', (_, { phase }) => {
        if (phase === 'draining') begun = performance.now()
      })
      await hub.reload()
      const took = performance.now() - begun
      assert.ok(took < TIMEOUT / 2, `${took} ms`)
      assert.deepEqual([wrong, told], [[], []])
      client.off('disconnect').close()
    },
  )
}

site(
  'an acknowledgement on its way is waited for, though the client had still to show an earlier sign of life',
  {
    body: BODY,
    options: '{ pingInterval: 200, pingTimeout: 60000 }',
    hub: { handoverTimeout: 60_000, gracePeriod: 120_000 },
  },
  async ({ hub, port, told, app }) => {
    const client = new RawClient(port)
    await client.connect()
    const pings = () => client.texts.filter((text) => text === '2').length
    await until(() => pings() === 1, 'asked for a sign of life')
    const { pid } = memberOf(hub, 'web-1')
    client.send(frame(1, '42["ask"]'))
    await until(() => client.packets.length > 0, 'asked')
    const [, id = ''] = /^42(\d+)\["asked"\]$/.exec(client.packets[0] ?? '') ?? []
    // So long a client may take for what it does not acknowledge at once.
    const since = performance.now()
    await until(() => performance.now() - since > 1000, 'time passes')
    // The next process asks for none but those that it needs.
    app.write(serving(BODY, { options: '{ pingInterval: 300000, pingTimeout: 60000 }' }))
    const reload = hub.reload()
    for (let given = 0; given < 3; given++) {
      await until(() => pings() === given + 2, 'asked for another')
      client.send(frame(1, '3'))
    }
    await until(() => pings() === 5 || !alive(pid), 'asked for the last, or given up')
    client.send(frame(1, `43${id}[]`))
    for (let given = 3; given < 5; given++) client.send(frame(1, '3'))
    await until(() => told.length > 0 || !alive(pid), 'answered')
    await reload
    assert.deepEqual(told, [[pid, 'answer']])
    client.close()
  },
)

test.run()
