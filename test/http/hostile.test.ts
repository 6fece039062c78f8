import type { AddressInfo } from 'node:net'
import type { PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createApp } from './app.js'
import { Client, fetch, site, until, web, withSite } from './harness.js'
import { Polling } from './polling.js'
import type { Chat } from './workers/chat.js'

const chat = new URL('./workers/chat.js', import.meta.url)

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n'
const POST = 'POST /post HTTP/1.1\r\nHost: x\r\n'

/** Requests that different parsers read in different ways, and what is no request at all. */
const SHAPES: Record<string, string> = {
  'both lengths': `${POST}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'both lengths, the other way round': `${POST}Transfer-Encoding: chunked\r\nContent-Length: 40\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'two lengths': `${POST}Content-Length: 0\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  'a list of lengths': `${POST}Content-Length: 0, 5\r\n\r\n${SMUGGLED}`,
  'a signed length': `${POST}Content-Length: +5\r\n\r\nhello${SMUGGLED}`,
  'a negative length': `${POST}Content-Length: -1\r\n\r\n${SMUGGLED}`,
  'a hexadecimal length': `${POST}Content-Length: 0x5\r\n\r\nhello${SMUGGLED}`,
  'a huge length': `${POST}Content-Length: 99999999999999999999999\r\n\r\n${SMUGGLED}`,
  'an encoding that is none': `${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'an encoding not chunked last': `${POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'space before the colon': `${POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'a folded encoding': `${POST}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'a vertical tab': `${POST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'a chunk size that is none': `${POST}Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n${SMUGGLED}`,
  'a huge chunk': `${POST}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n${SMUGGLED}`,
  'chunk extensions': `${POST}Transfer-Encoding: chunked\r\n\r\n5;a="\n"\r\nhello\r\n0\r\n\r\n${SMUGGLED}`,
  'line feeds alone': 'GET /a HTTP/1.1\nHost: x\n\nGET /b HTTP/1.1\nHost: x\n\n',
  'carriage returns alone': 'GET /a HTTP/1.1\rHost: x\r\rGET /b HTTP/1.1\r\r',
  'empty lines first': `${'\r\n'.repeat(500)}GET /a HTTP/1.1\r\nHost: x\r\n\r\n`,
  'a null byte in the target': 'GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n',
  'a null byte in a header': 'GET /a HTTP/1.1\r\nHost: x\r\nX-Note: a\0b\r\n\r\n',
  'null bytes alone': '\0'.repeat(100),
  'bad UTF-8': 'GET /\xff\xfe\xc0\xaf\xed\xa0\x80 HTTP/1.1\r\nHost: x\r\nX-Note: \xff\xc0\r\n\r\n',
  'an encoded null byte': 'GET /%00%c0%af%2e%2e HTTP/1.1\r\nHost: x\r\n\r\n',
  'an absolute target': 'GET http://evil.example/socket.io/?sid=x HTTP/1.1\r\nHost: x\r\n\r\n',
  'an asterisk': 'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n',
  'a target that is a path out': 'GET /../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n',
  'no version': 'GET /a\r\n\r\n',
  'another version': 'GET /a HTTP/3.7\r\nHost: x\r\n\r\n',
  'HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'two spaces': 'GET  /a  HTTP/1.1\r\nHost: x\r\n\r\n',
  'no host': 'GET /a HTTP/1.1\r\n\r\n',
  'two hosts': 'GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n',
  'a method of its own': `${'M'.repeat(5000)} /a HTTP/1.1\r\nHost: x\r\n\r\n`,
  'a header too many': `GET /a HTTP/1.1\r\nHost: x\r\n${'X: y\r\n'.repeat(5000)}\r\n`,
  'a header too long': `GET /a HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`,
  'garbage behind a request': 'GET /a HTTP/1.1\r\nHost: x\r\n\r\n\xde\xad\xbe\xef',
  'half a request': 'GET /a HTT',
  '__proto__ everywhere': 'GET /__proto__?__proto__=1 HTTP/1.1\r\nHost: x\r\n__proto__: x\r\nconstructor: y\r\n\r\n',
}

/**
 * All that is answered to these bytes, behind which nothing follows. A server that refuses a head before it has read all
 * of it resets the connection, and its answer may be lost on the way, whoever it is: then it is asked again.
 */
async function answerTo(port: number, bytes: string, tries = 10): Promise<string> {
  const client = new Client(port)
  let reset = false
  client.socket.once('error', () => {
    reset = true
  })
  await client.write(bytes)
  client.socket.end()
  await client.until(() => client.ended || client.closed, `no end to ${JSON.stringify(bytes.slice(0, 80))}`)
  client.destroy()
  if (reset && client.received === '' && tries > 1) return answerTo(port, bytes, tries - 1)
  // Two servers may be asked in two different seconds.
  return client.received.replaceAll(/^Date: .*\r\n/gm, '')
}

for (const sticky of ['socket.io', { cookie: 'sid' }, 'ip'] as const) {
  site(
    `what no two parsers read alike is answered as by a server without a hub (${JSON.stringify(sticky)})`,
    { sticky, maxRequestLine: 100_000 },
    async ({ port }) => {
      const plain = createApp(() => 'plain')
      await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve))
      try {
        const { port: plainPort } = plain.address() as AddressInfo
        const shapes = Object.entries(SHAPES)
        const answers = await Promise.all(
          shapes.map(async ([name, bytes]) => [name, await answerTo(port, bytes), await answerTo(plainPort, bytes)]),
        )
        for (const [name, answer, expected] of answers) assert.is(answer, expected, name)
        // The shapes are what they say: some are refused, and none smuggles anything.
        const answered = new Map(answers.map(([name, answer]) => [name, answer]))
        for (const name of ['both lengths', 'two lengths', 'a signed length', 'a null byte in a header']) {
          assert.match(answered.get(name) ?? '', /^HTTP\/1\.1 400 /, name)
        }
      } finally {
        plain.close()
      }
      assert.is((await fetch(port, '/who')).status, 200)
    },
  )
}

test('nor does a request that goes on to the owner of its session', () =>
  withSite([{ role: 'web', count: 2, exec: chat }], {}, async ({ port }) => {
    const session = await Polling.open(port)
    for (let tries = 0; tries < 4; tries++) {
      // A connection goes to the worker with fewest: two in turn are one at each.
      for (const fields of [
        'Content-Length: 1\r\nTransfer-Encoding: chunked',
        'Content-Length: 1\r\nContent-Length: 2',
      ]) {
        const client = new Client(port)
        await client.who()
        await client.write(`POST ${session.target} HTTP/1.1\r\nHost: x\r\n${fields}\r\n\r\n0\r\n\r\n${SMUGGLED}`)
        await client.got(/HTTP\/1\.1 400 /)
        assert.not.match(client.received, /smuggled/)
        client.destroy()
      }
    }
    await session.echo('still here')
  }))

site('a head without an end is cut off, wherever it is read', { sticky: 'socket.io' }, async ({ port }) => {
  for (const [first, more] of [
    // The primary reads the request line, a worker the rest.
    ['GET /', 'x'.repeat(4096)],
    ['GET / HTTP/1.1\r\nHost: x\r\n', `X: ${'x'.repeat(4093)}\r\n`],
    ['', '\r\n'.repeat(2048)],
  ] as const) {
    const client = new Client(port)
    await client.write(first)
    let sent = 0
    const pump = setInterval(() => {
      if (client.closed || client.ended) return
      client.write(more)
      sent += more.length
    }, 2)
    await client.until(() => client.ended || client.closed, `no end to ${JSON.stringify(first)}`)
    clearInterval(pump)
    client.destroy()
    assert.match(client.received, /^HTTP\/1\.1 431 /)
    assert.ok(sent < 4 << 20)
  }
  assert.is((await fetch(port, '/who')).status, 200)
})

const LORISES = 1000
const SERVER = JSON.stringify({ headersTimeout: 2000, requestTimeout: 3000, connectionsCheckingInterval: 200 })

test(`${LORISES} clients that never come to the end of their request keep nobody else from being served`, () =>
  withSite([{ role: 'web', count: 2, exec: web, env: { SERVER } }], { headTimeout: 2000 }, async ({ hub, port }) => {
    const lorises: Client[] = []
    // Half of them are held by the primary, and half by the workers.
    for (let i = 0; i < LORISES; i++) {
      const client = new Client(port)
      lorises.push(client)
      client.write(i % 2 === 0 ? 'GET /wh' : 'GET /who HTTP/1.1\r\nHost: x\r\n')
      // The kernel's queue for new connections is shorter.
      if (i % 50 === 49) await until(() => !client.socket.connecting, 'they connect')
    }
    let dripped = 0
    const drip = setInterval(() => {
      for (const client of lorises) if (!client.closed && !client.ended) client.write('x')
      dripped++
    }, 200)
    try {
      let served = 0
      while (dripped < 3 || served < 50) {
        const { status, body } = await fetch(port, '/who')
        assert.is(status, 200)
        assert.match(body, /^web-[12]$/)
        served++
      }
      await until(() => lorises.every((client) => client.ended || client.closed), 'all of them are sent away', 60_000)
    } finally {
      clearInterval(drip)
    }
    for (const client of lorises) {
      assert.match(client.received, /^(HTTP\/1\.1 408 |$)/)
      client.destroy()
    }
    const { waiting, workers } = hub.stats().http ?? {}
    assert.is(waiting, 0)
    await until(() => hub.stats().http?.workers.every(({ connections }) => connections === 0) === true, 'all are gone')
    assert.is(workers?.length, 2)
    assert.is((await fetch(port, '/who')).status, 200)
  }))

test('session ids that are forged lead to no session, and end nobody', () =>
  withSite([{ role: 'web', count: 2, exec: chat }], {}, async ({ hub, port }) => {
    const pids = hub.members.map(({ pid }) => pid)
    const sessions = [await Polling.open(port), await Polling.open(port)]
    const secrets = sessions.map(({ sid }) => sid.split('.')[1] as string)
    const addresses = sessions.map(({ address }) => address)
    assert.is.not(addresses[0], addresses[1], 'one at each worker')
    const forged = [
      // Another's seat with a secret of one's own.
      `${addresses[0]}.${secrets[1]}`,
      `${addresses[1]}.${secrets[0]}`,
      ...addresses.map((address) => `${address}.${'A'.repeat(20)}`),
      `../${sessions[0]?.sid}`,
      `${addresses[0]}/../${addresses[1]}.${secrets[0]}`,
      `%2e%2e%2f${sessions[0]?.sid}`,
      `${sessions[0]?.sid}%00`,
      `${sessions[0]?.sid?.toUpperCase()}X`,
      // The primary, its roles, and whom nobody knows.
      ...['0', '1', 'g', 'h', 'zzzzz', '00000', '-1', '1e3'].map((address) => `${address}.${secrets[0]}`),
      ...[
        '__proto__',
        'constructor',
        'hasOwnProperty',
        'toString',
        'valueOf',
        '%5f_proto__',
        '',
        '.',
        '%',
        '%ff',
        '\xff',
      ],
      'x'.repeat(5000),
    ]
    for (const sid of forged) {
      const target = `/socket.io/?EIO=4&transport=polling&sid=${sid}`
      const client = new Client(port)
      await client.write(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
      await client.until(() => client.ended || client.closed, `no answer for ${sid}`)
      const isNew = sid === ''
      assert.match(client.received, isNew ? /^HTTP\/1\.1 200 / : /^HTTP\/1\.1 400 /, sid)
      if (!isNew)
        assert.match(client.received, /"code":[13]|^HTTP\/1\.1 400 Bad Request\r\nConnection: close\r\n\r\n$/, sid)
      client.destroy()
      const upgrade = new Client(port)
      const fields =
        'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'
      await upgrade.write(`GET ${target.replace('polling', 'websocket')} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`)
      await upgrade.until(
        () => /\r\n\r\n/.test(upgrade.received) || upgrade.closed,
        `no answer to an upgrade for ${sid}`,
      )
      if (!isNew) assert.not.match(upgrade.received, /^HTTP\/1\.1 101 /, sid)
      upgrade.destroy()
    }
    for (const session of sessions) await session.echo(['__proto__', 'still here'])
    assert.equal(
      hub.members.map(({ pid }) => pid),
      pids,
    )
    for (const { id, protocolErrors } of hub.stats().links ?? []) assert.is(protocolErrors, 0, id)
    const counts = await (hub as unknown as PrimaryHub<Chat>).to({ role: 'web' }).gather('open')
    const total = counts.reduce((sum, one) => sum + (one.status === 'fulfilled' ? one.value.sessions : 0), 0)
    assert.ok(total >= 2)
  }))

test.run()
