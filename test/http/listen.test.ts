import http from 'node:http'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Client, fetch, site } from './harness.js'

site('requests are answered by workers, over kept-alive connections and closed ones', {}, async ({ port }) => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const first = await fetch(port, '/who', { agent })
  assert.is(first.status, 200)
  for (let i = 0; i < 20; i++) assert.is((await fetch(port, '/who', { agent })).body, first.body)
  agent.destroy()
  const seen = new Set<string>()
  for (let i = 0; i < 6; i++) seen.add((await fetch(port, '/who', { headers: { connection: 'close' } })).body)
  assert.equal([...seen].sort(), ['web-1', 'web-2'])
})

site('the worker sees the client, and its own connections', { count: 1 }, async ({ port, hub }) => {
  const client = new Client(port)
  await client.write('GET /remote HTTP/1.1\r\nHost: x\r\n\r\n')
  await client.got(/"web-1"/)
  assert.match(
    client.received,
    `"remoteAddress":"127.0.0.1","remotePort":${client.socket.localPort},"remoteFamily":"IPv4"`,
  )
  assert.is(await hub.to('web-1').request('open'), 1)
  client.destroy()
})

test.run()
