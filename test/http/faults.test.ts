import fs from 'node:fs'
import os from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { failure } from '../conditions.js'
import { Client, fetch, site, until, web } from './harness.js'

site('a worker that dies before anybody knows that it serves leaves no private socket', {}, async ({ hub }) => {
  const folders = () => fs.readdirSync(os.tmpdir()).filter((name) => name.startsWith('hubwire-'))
  const before = folders()
  await failure(hub.fork({ id: 'short', exec: web, env: { DIE: 'serving' } }))
  assert.equal(folders(), before)
})

site('a worker that dies costs only its own connections', { count: 2 }, async ({ port, hub }) => {
  const clients = Array.from({ length: 6 }, () => new Client(port))
  const ids = await Promise.all(clients.map((client) => client.who()))
  const victim = ids[0] as string
  const pid = hub.members.find(({ id }) => id === victim)?.pid as number
  process.kill(pid, 'SIGKILL')
  await Promise.all(
    clients.map(async (client, index) => {
      if (ids[index] === victim) await client.until(() => client.closed || client.ended, 'it stays open')
      else assert.is(await client.who(), ids[index])
    }),
  )
  for (let i = 0; i < 10; i++) assert.is((await fetch(port, '/who')).status, 200)
  await until(() => hub.members.every(({ state }) => state === 'ready'), 'it comes back')
  const again = new Set<string>()
  for (let i = 0; i < 10; i++) again.add((await fetch(port, '/who')).body)
  assert.is(again.size, 2)
  for (const client of clients) client.destroy()
})

site('a worker that dies before it answers costs only its own connections', { count: 2 }, async ({ port, hub }) => {
  const clients = Array.from({ length: 6 }, () => new Client(port))
  const ids = await Promise.all(clients.map((client) => client.who()))
  const [asking, ...others] = clients as [Client, ...Client[]]
  const victim = ids[0]
  const from = asking.received.length
  await asking.write('GET /exit HTTP/1.1\r\nHost: x\r\n\r\n')
  // Meanwhile others come, of whom some may be on their way to it.
  const late = Array.from({ length: 6 }, () => new Client(port))
  await Promise.all(late.map((client) => client.write('GET /who HTTP/1.1\r\nHost: x\r\n\r\n')))
  for (const [n, client] of others.entries()) {
    if (ids[n + 1] === victim) await client.until(() => client.closed || client.ended, 'it stays open')
    else assert.is(await client.who(), ids[n + 1])
  }
  await asking.until(() => asking.closed || asking.ended, 'it stays open')
  assert.is(asking.received.length, from, 'nobody answered in its place')
  // It may have taken some of them before it ended, and these are lost with it; all others are answered.
  const over = (client: Client) => client.received.includes('web-') || client.closed || client.ended
  await Promise.all(late.map((client) => client.until(() => over(client), 'it is forgotten')))
  await until(() => hub.members.every(({ state }) => state === 'ready'), 'it comes back')
  for (const client of [...clients, ...late]) client.destroy()
})

site(
  'while workers die one after the other, every connection is answered or closed',
  { count: 3 },
  async ({ port, hub }) => {
    let stop = false
    const outcomes = { answered: 0, failed: 0, refused: 0 }
    const load = Array.from({ length: 12 }, async () => {
      while (!stop) {
        try {
          const { status } = await fetch(port, '/who')
          if (status === 200) outcomes.answered++
          else outcomes.refused++
        } catch {
          outcomes.failed++
        }
      }
    })
    for (let round = 0; round < 4; round++) {
      await until(() => hub.members.every(({ state }) => state === 'ready'), 'all are ready')
      const victim = hub.members.find(({ id }) => id === `web-${(round % 3) + 1}`)
      process.kill(victim?.pid as number, 'SIGKILL')
      await until(() => hub.members.some(({ state }) => state !== 'ready'), 'it is gone')
    }
    stop = true
    await Promise.all(load)
    assert.is(outcomes.refused, 0)
    assert.ok(outcomes.answered > 50, JSON.stringify(outcomes))
    // Those that were in the worker when it died, and none besides.
    assert.ok(outcomes.failed <= 4 * 12, JSON.stringify(outcomes))
    await until(() => hub.stats().http?.waiting === 0, 'nobody waits')
  },
)

site(
  'connections queued for a wedged worker go to another; the others do not wait',
  { count: 2 },
  async ({ port, hub }) => {
    const pid = hub.members.find(({ id }) => id === 'web-1')?.pid as number
    process.kill(pid, 'SIGSTOP')
    const clients = Array.from({ length: 20 }, () => new Client(port))
    try {
      const asked = clients.map((client) => client.who())
      const answers = await Promise.all(asked.map((answer) => Promise.race([answer, later(5000)])))
      const answered = answers.filter((id) => id === 'web-2').length
      // One may be in the stopped worker's hands already.
      assert.ok(answered >= 19, `${answered} of 20 were answered`)
      assert.is(hub.stats().http?.workers.find(({ id }) => id === 'web-1')?.wedged, true)
      const started = Date.now()
      assert.is((await fetch(port, '/who')).body, 'web-2')
      assert.ok(Date.now() - started < 1000)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    // It takes up its work again.
    await until(() => hub.stats().http?.workers.every(({ wedged }) => !wedged) === true, 'it is no longer wedged')
    await Promise.all(clients.map((client) => client.until(() => client.received.includes('web-'), 'all are answered')))
    for (const client of clients) client.destroy()
  },
)

site(
  'connections in the hands of a wedged worker that is killed are answered by another',
  { count: 2 },
  async ({ port, hub }) => {
    const pid = hub.members.find(({ id }) => id === 'web-1')?.pid as number
    process.kill(pid, 'SIGSTOP')
    const clients = Array.from({ length: 4 }, () => new Client(port))
    const asked = clients.map((client) => client.who())
    await until(
      () => (hub.stats().http?.workers.find(({ id }) => id === 'web-1')?.connections ?? 0) > 0,
      'one is there',
    )
    process.kill(pid, 'SIGKILL')
    for (const answer of asked) assert.match(await answer, /^web-/)
    for (const client of clients) client.destroy()
  },
)

site(
  'when the hub closes, what was in the hands of a worker that was killed is answered, too',
  { count: 1, waitTimeout: Number.POSITIVE_INFINITY },
  async ({ port, hub }) => {
    const pid = hub.members.find(({ id }) => id === 'web-1')?.pid as number
    process.kill(pid, 'SIGSTOP')
    const clients = Array.from({ length: 3 }, () => new Client(port))
    for (const client of clients) await client.write('GET /who HTTP/1.1\r\nHost: x\r\n\r\n')
    await until(() => hub.stats().http?.workers[0]?.connections === 3, 'they are on their way')
    process.kill(pid, 'SIGKILL')
    await hub.close()
    for (const client of clients) {
      await client.until(() => client.ended, 'it is left open')
      assert.match(client.received, /^HTTP\/1.1 503 /)
      client.destroy()
    }
  },
)

site('a worker that is stopped hands on what waits for it', { count: 2 }, async ({ port, hub }) => {
  const blocked = hub.to('web-1').request('act', 'block')
  blocked.catch(() => {})
  const clients = Array.from({ length: 6 }, () => new Client(port))
  const asked = clients.map((client) => client.who())
  const stopped = hub.stop('web-1')
  const answers = await Promise.all(asked)
  assert.ok(answers.filter((id) => id === 'web-2').length >= 5, String(answers))
  await Promise.allSettled([blocked, stopped])
  for (const client of clients) client.destroy()
})

function later(ms: number): Promise<string> {
  return new Promise((resolve) => setTimeout(resolve, ms, 'nothing').unref())
}

test.run()
