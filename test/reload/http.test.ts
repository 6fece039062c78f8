import assert from 'node:assert/strict'
import type { Listening, ListenOptions, PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import { Client } from '../http/harness.js'
import { App, linksOf, memberOf, until, withApp } from './app.js'
import { cannonade } from './cannon.js'

/** Tells which process answers, and how much it got. */
const serves = (options = '{}') => `
  import http from 'node:http'
  const server = http.createServer(${options}, (req, res) => {
    let length = 0
    req.on('data', (chunk) => { length += chunk.length })
    req.on('end', () => {
      if (req.url === '/large') res.end('x'.repeat(20_000_000))
      else res.end(process.pid + ' ' + length + ';')
    })
  })
  hub.serve(server)
  hub.handle('open', () => new Promise((resolve) => server.getConnections((_, count) => resolve(count))))`

interface Site {
  hub: PrimaryHub
  diary: string[]
  port: number
  listening: Listening
}

function site(
  name: string,
  { count = 1, server, ...options }: Partial<ListenOptions> & { count?: number; server?: string },
  run: (site: Site) => Promise<void>,
): void {
  test(name, async () => {
    const app = new App(serves(server))
    await withApp(app, { workers: [{ role: 'web', count, exec: app.exec }] }, async (hub, diary) => {
      const listening = await hub.listen({ port: 0, host: '127.0.0.1', ...options })
      await run({ hub, diary, listening, port: listening.address().port })
    })
  })
}

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
const POST = (length: number) => `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`
const pidOf = (hub: PrimaryHub) => memberOf(hub, 'web-1').pid
const tookOver = (hub: PrimaryHub) =>
  until(() => memberOf(hub, 'web-1').incarnation === 2, 'the new process has taken over')

/** What answers a request on this connection: its pid, and the bytes that it got. */
async function ask(client: Client, text: string): Promise<string> {
  const from = client.received.length
  await client.write(text)
  return answer(client, from)
}

async function answer(client: Client, from: number): Promise<string> {
  await client.until(() => client.received.slice(from).endsWith(';'), 'no answer')
  return client.received.slice(from, -1).split('\r\n\r\n')[1] as string
}

site('a kept-alive connection without a request is handed over, and goes on', {}, async ({ hub, port }) => {
  const clients = Array.from({ length: 20 }, () => new Client(port))
  const before = pidOf(hub)
  for (const client of clients) assert.equal(await ask(client, GET), `${before} 0`)
  await hub.reload()
  await hub.reload()
  const after = pidOf(hub)
  for (const client of clients) {
    assert.equal(await ask(client, GET), `${after} 0`)
    assert.equal(client.ended, false)
    client.destroy()
  }
})

site('so is one on which nothing was ever sent', { sticky: false }, async ({ hub, port }) => {
  const client = new Client(port)
  await until(async () => (await hub.to('web-1').request('open')) === 1, 'the worker has it')
  await hub.reload()
  assert.equal(await ask(client, GET), `${pidOf(hub)} 0`)
  client.destroy()
})

site('requests in progress finish in the old process; then their connections move', {}, async ({ hub, port }) => {
  const before = pidOf(hub)
  // The one has sent a part of its body, the other a part of its head, on a connection that has been used.
  const [body, head, fresh] = [new Client(port), new Client(port), new Client(port)]
  await ask(head, GET)
  await body.write(`${POST(10)}12345`)
  for (const client of [head, fresh]) await client.write(GET.slice(0, 20))
  await until(async () => (await hub.to('web-1').request('open')) === 3, 'the worker has all')
  const reload = hub.reload()
  await tookOver(hub)
  const from = head.received.length
  assert.equal(await ask(body, '67890'), `${before} 10`)
  await head.write(GET.slice(20))
  assert.equal(await answer(head, from), `${before} 0`)
  await fresh.write(GET.slice(20))
  assert.equal(await answer(fresh, 0), `${before} 0`)
  await reload
  for (const client of [body, head, fresh]) {
    assert.equal(await ask(client, `${POST(3)}abc`), `${pidOf(hub)} 3`)
    assert.equal(client.ended, false)
    client.destroy()
  }
})

site('a large answer that its client reads slowly arrives whole', {}, async ({ hub, port }) => {
  const client = new Client(port)
  await ask(client, GET)
  client.socket.pause()
  const from = client.received.length
  await client.write('GET /large HTTP/1.1\r\nHost: x\r\n\r\n')
  await until(async () => (await hub.to('web-1').request('open')) === 1, 'the worker has it')
  const reload = hub.reload()
  await tookOver(hub)
  client.socket.resume()
  await client.until(() => client.received.length - from > 20_000_000, 'all of it')
  await reload
  assert.equal(await ask(client, GET), `${pidOf(hub)} 0`)
  client.destroy()
})

site(
  'the new process closes what it was handed when no request comes for keepAliveTimeout',
  { server: '{ keepAliveTimeout: 300 }' },
  async ({ hub, port }) => {
    const client = new Client(port)
    await ask(client, GET)
    const reload = hub.reload()
    await reload
    await client.until(() => client.ended, 'it is closed')
    client.destroy()
    await until(async () => (await hub.to('web-1').request('open')) === 0, 'and forgotten')
  },
)

site('connections that come while the old one drains go to the new one', {}, async ({ hub, port }) => {
  const busy = new Client(port)
  await busy.write(`${POST(2)}1`)
  await until(async () => (await hub.to('web-1').request('open')) === 1, 'the worker has it')
  const reload = hub.reload()
  await tookOver(hub)
  assert.equal(linksOf(hub, 'web-1').length, 2, 'both live')
  const client = new Client(port)
  assert.equal(await ask(client, GET), `${pidOf(hub)} 0`)
  assert.notEqual(await ask(busy, '2'), `${pidOf(hub)} 2`)
  await reload
  client.destroy()
  busy.destroy()
})

site('under load nobody sees an error, whatever is reloaded and scaled', { count: 2 }, async ({ hub, port }) => {
  const load = cannonade(port, { connections: 20, pipelining: 1 })
  const pipelined = cannonade(port, { connections: 4, pipelining: 4, method: 'POST', body: 'x'.repeat(3000) })
  for (let round = 0; round < 2; round++) {
    await hub.reload()
    await hub.scale('web', 3)
    await hub.reload({ concurrency: 3 })
    await hub.scale('web', 2)
  }
  for (const result of [await load(), await pipelined()]) {
    assert.deepEqual(result.failures, { errors: 0, timeouts: 0, non2xx: 0, resets: 0 })
    assert.ok(result.answered > 100, `${result.answered} answers`)
  }
  const { routed = 0, rerouted = 0 } = hub.stats().http ?? {}
  assert.equal(routed - rerouted, 24, 'nobody had to connect anew')
})

test.run()
