import http from 'node:http'
import { HubError, startHub } from 'hubwire'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createApp } from './app.js'
import { Client, fetch, privateSockets, site, until } from './harness.js'

const QUICK = { connectionsCheckingInterval: 50 }

site(
  'headersTimeout and requestTimeout',
  { count: 1, env: { SERVER: JSON.stringify({ ...QUICK, headersTimeout: 300, requestTimeout: 600 }) } },
  async ({ port }) => {
    const head = new Client(port)
    const body = new Client(port)
    await head.write('GET / HTTP/1.1\r\nX: ')
    await body.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc')
    for (const client of [head, body]) {
      await client.until(() => client.ended, 'no end')
      assert.match(client.received, /^HTTP\/1.1 408 Request Timeout\r\n/)
      client.destroy()
    }
  },
)

site('keepAliveTimeout', { count: 1, env: { SERVER: JSON.stringify({ keepAliveTimeout: 200 }) } }, async ({ port }) => {
  const client = new Client(port)
  assert.is(await client.who(), 'web-1')
  await client.until(() => client.ended, 'no end')
  client.destroy()
})

site('closeIdleConnections and closeAllConnections', { count: 1 }, async ({ port, hub }) => {
  const idle = new Client(port)
  const busy = new Client(port)
  await idle.who()
  await busy.write('GET /silent HTTP/1.1\r\nHost: x\r\n\r\n')
  await until(() => hub.stats().http?.workers[0]?.connections === 2, 'both are there')
  assert.is(await hub.to('web-1').request('open'), 2)
  assert.is(await hub.to('web-1').request('act', 'closeIdle'), 'true')
  await idle.until(() => idle.ended || idle.closed, 'not closed')
  assert.not(busy.closed)
  await hub.to('web-1').request('act', 'closeAll')
  await busy.until(() => busy.ended || busy.closed, 'not closed')
  await until(() => hub.stats().http?.workers[0]?.connections === 0, 'the hub knows')
  idle.destroy()
  busy.destroy()
})

site('a server that is closed gets no more connections', { count: 2 }, async ({ port, hub }) => {
  assert.is(await hub.to('web-1').request('act', 'close'), 'false')
  for (let i = 0; i < 6; i++) assert.is((await fetch(port, '/who')).body, 'web-2')
  // The hub has been told: nobody takes the way through it.
  assert.is(hub.stats().http?.rerouted, 0)
})

site('a connection that was under way to a server that closed goes to another', { count: 2 }, async ({ port, hub }) => {
  const pid = hub.members.find(({ id }) => id === 'web-1')?.pid as number
  process.kill(pid, 'SIGSTOP')
  const closing = hub.to('web-1').request('act', 'close')
  await hub.drained('web-1')
  const clients = [new Client(port), new Client(port)]
  const asked = clients.map((client) => client.who())
  const there = () => hub.stats().http?.workers.find(({ id }) => id === 'web-1')?.connections === 1
  await until(there, 'one is on its way')
  process.kill(pid, 'SIGCONT')
  assert.equal(await Promise.all(asked), ['web-2', 'web-2'])
  assert.is(await closing, 'false')
  for (const client of clients) client.destroy()
})

site('a worker that stops lets its requests end', { count: 2 }, async ({ port, hub }) => {
  const agent = new http.Agent({ keepAlive: true })
  const slow = Array.from({ length: 6 }, () => fetch(port, '/slow?500', { agent }))
  await until(() => hub.stats().http?.routed === 6, 'they are there')
  await hub.stop('web-1')
  const answers = await Promise.all(slow)
  assert.equal(answers.map(({ body }) => body).sort(), ['web-1', 'web-1', 'web-1', 'web-2', 'web-2', 'web-2'])
  agent.destroy()
})

site('getConnections of the server', { count: 1 }, async ({ port, hub }) => {
  const clients = Array.from({ length: 3 }, () => new Client(port))
  await Promise.all(clients.map((client) => client.who()))
  assert.is(await hub.to('web-1').request('open'), 3)
  for (const client of clients) client.destroy()
  await until(() => hub.stats().http?.workers[0]?.connections === 0, 'they are gone')
  assert.is(await hub.to('web-1').request('open'), 0)
})

site('maxConnections of the server', { count: 1, env: { MAX_CONNECTIONS: '2' } }, async ({ port, hub }) => {
  const [first, second] = [new Client(port), new Client(port)]
  assert.equal([await first.who(), await second.who()], ['web-1', 'web-1'])
  const third = new Client(port)
  await third.write('GET /who HTTP/1.1\r\nHost: x\r\n\r\n')
  await third.until(() => third.closed || third.ended, 'it is not closed')
  assert.is(third.received, '')
  assert.is(await hub.to('web-1').request('open'), 2)
  // One that was dropped is not counted as open, and the others go on.
  await until(() => hub.stats().http?.workers[0]?.connections === 2, 'the hub counts two')
  assert.is(await first.who(), 'web-1')
  // Where there is room again, the next one is served.
  second.destroy()
  await until(() => hub.stats().http?.workers[0]?.connections === 1, 'the hub counts one')
  const fourth = new Client(port)
  assert.is(await fourth.who(), 'web-1')
  for (const client of [first, third, fourth]) client.destroy()
})

site('remoteAddress, remotePort and remoteFamily are those of the client', { count: 2 }, async ({ port }) => {
  for (const localAddress of ['127.0.0.1', '127.0.0.7']) {
    const client = new Client(port, '127.0.0.1', localAddress)
    await client.write('GET /remote HTTP/1.1\r\nHost: x\r\n\r\n')
    await client.got(/\r\n\r\n\{.+\}/)
    const { id: _, ...remote } = JSON.parse(client.received.split('\r\n\r\n')[1] as string)
    const { localPort } = client.socket
    assert.equal(remote, { remoteAddress: localAddress, remotePort: localPort, remoteFamily: 'IPv4' })
    client.destroy()
  }
})

site('Expect: 100-continue', { count: 1 }, async ({ port }) => {
  const client = new Client(port)
  await client.write('POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n')
  await client.got(/^HTTP\/1.1 100 Continue\r\n\r\n$/)
  await client.write('hello')
  await client.got(/HTTP\/1.1 200 OK\r\n.*POST \/body 5 aaf4c61d/s)
  // What the server does not know it refuses.
  await client.write('POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: wonders\r\n\r\n')
  await client.got(/HTTP\/1.1 417 Expectation Failed\r\n/)
  client.destroy()
})

site('a server that closes lets requests under way end', { count: 1 }, async ({ port, hub }) => {
  const client = new Client(port)
  // Behind the answer to the first, the second is under way.
  await client.write(['who', 'slow?1000'].map((path) => `GET /${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''))
  await client.got(/web-1$/)
  const closed = hub.to('web-1').request('act', 'close')
  await client.until(() => client.received.endsWith('web-1') && /200 OK.*200 OK/s.test(client.received), 'no answer')
  assert.is(await closed, 'false')
  await client.until(() => client.ended || client.closed, 'it stays open')
  client.destroy()
})

test('the primary alone serves', async () => {
  const before = privateSockets()
  const hub = await startHub({ signals: false })
  const server = createApp(() => hub.id)
  hub.serve(server)
  const listening = await hub.listen({ port: 0, host: '127.0.0.1' })
  const { port } = listening.address()
  assert.is((await fetch(port, '/who')).body, 'primary')
  assert.ok(server.listening)
  assert.is(privateSockets().length, before.length + 1)

  const fails = (attempt: () => void, message: RegExp) => {
    try {
      attempt()
    } catch (error) {
      assert.instance(error, HubError)
      assert.match((error as HubError).message, message)
      return
    }
    throw new Error('it was not refused')
  }
  fails(() => hub.serve(createApp(() => '')), /called twice/)
  fails(() => hub.serve({} as http.Server), /http.createServer/)
  const closed = new Client(port)
  await closed.who()
  await hub.close()
  await closed.until(() => closed.ended || closed.closed, 'it stays open')
  assert.not(server.listening)
  closed.destroy()
  fails(() => hub.serve(createApp(() => '')), /closed/)
  assert.equal(privateSockets(), before)
})

test('a server that listens already is refused', async () => {
  const hub = await startHub({ signals: false })
  const server = createApp(() => '').listen(0)
  try {
    hub.serve(server)
    throw new Error('it was not refused')
  } catch (error) {
    assert.match((error as Error).message, /listens already/)
  } finally {
    server.close()
    await hub.close()
  }
})

test.run()
