import assert from 'node:assert/strict'
import { io as open } from 'socket.io-client'
import { test } from 'uvu'
import { memberOf, until } from '../reload/app.js'
import { site } from './site.js'

const BODY = `
  io.on('connection', (socket) => {
    tell('connection', socket.recovered)
    socket.join('all')
    socket.on('who', (done) => done(process.pid))
    socket.on('all', (n) => io.to('all').emit('told', n))
  })`

for (const [victim, transport] of [
  ['old', 'websocket'],
  ['new', 'websocket'],
  ['old', 'polling'],
  ['new', 'polling'],
] as const) {
  site(
    `the ${victim} process is killed in the middle of a handover: clients are there again, the others notice nothing: ${transport}`,
    { body: BODY, count: 2, options: '{ connectionStateRecovery: {} }', hub: { gracePeriod: 60_000 } },
    async ({ hub, port, told }) => {
      const clients = Array.from({ length: transport === 'polling' ? 30 : 60 }, () =>
        open(`http://127.0.0.1:${port}`, { transports: [transport], forceNew: true, reconnectionDelay: 10 }),
      )
      try {
        await until(() => clients.every(({ connected }) => connected), 'all are connected')
        const before = memberOf(hub, 'web-1').pid as number
        const pids = await Promise.all(clients.map((client) => client.emitWithAck('who') as Promise<number>))
        assert.ok(pids.includes(before))
        const wrong: string[] = []
        for (const [i, client] of clients.entries()) {
          if (pids[i] !== before) client.on('disconnect', (reason) => wrong.push(reason))
        }
        told.length = 0
        const reload = hub.reload({ ids: ['web-1'] }).catch(() => {})
        await until(() => told.length > 0, 'it has begun')
        const after = told[0]?.[0] as number
        assert.notEqual(after, before)
        try {
          process.kill(victim === 'old' ? before : after, 'SIGKILL')
        } catch {
          // The old one had done all it had to.
        }
        await reload
        await until(() => clients.every(({ connected }) => connected), 'all are connected again')
        const answers = clients.map(async (client) => {
          // One whose connection breaks just now asks again.
          for (;;) {
            const answer = await client
              .timeout(3000)
              .emitWithAck('who')
              .catch(() => undefined)
            if (answer !== undefined) return answer as number
          }
        })
        assert.ok((await Promise.all(answers)).every((pid) => pid !== (victim === 'old' ? before : after)))
        // Rooms are counted as they should be: everybody is reached, once.
        const counts = clients.map(() => 0)
        for (const [i, client] of clients.entries()) {
          client.on('told', (n: number) => {
            if (n === 7) counts[i] = (counts[i] ?? 0) + 1
          })
        }
        clients[0]?.emit('all', 7)
        await until(() => counts.every((count) => count > 0), 'all are told')
        assert.deepEqual(new Set(counts), new Set([1]))
        assert.deepEqual(wrong, [])
      } finally {
        for (const client of clients) client.off('disconnect').close()
      }
    },
  )
}

test.run()
