import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import tls from 'node:tls'
import fc from 'fast-check'
import type { PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { until } from '../conditions.js'
import { answersIn } from './answers.js'
import { Client, withSite } from './harness.js'
import { createOddApp, type Seen } from './odd-app.js'
import type { Odd } from './workers/odd.js'

// What comes out of a worker that forwards is what comes out of the owner itself.

const exec = new URL('./workers/odd.js', import.meta.url)

interface Pair {
  hub: PrimaryHub<Odd>
  /** Whoever connects here is with `front`. */
  port: number
  /** A target that belongs to `back`, with what it is to do. */
  target(what: string): string
  /** What `back` has seen. */
  seen(): Promise<Seen>
}

/** A test of two workers: all connections are with one, and all sessions with the other. */
function pair(name: string, body: (pair: Pair) => Promise<void>, env: Record<string, string> = {}): void {
  test(name, () =>
    withSite(
      [
        { id: 'front', role: 'front', exec, env },
        { id: 'back', exec, env },
      ],
      { role: 'front' },
      async (site) => {
        const hub = site.hub as unknown as PrimaryHub<Odd>
        const address = await hub.to('back').request('address')
        const sid = `${address.toString(36)}.${'s'.repeat(20)}`
        const target = (what: string) => `/socket.io/?sid=${sid}&do=${what}`
        await body({ hub, port: site.port, target, seen: () => hub.to('back').request('seen') })
        for (const id of ['front', 'back'] as const) {
          await until(async () => (await hub.to(id).request('open')) === 0, `connections are left at ${id}`)
        }
      },
    ),
  )
}

/** What may differ between two ways that are as good. */
function alike(text: string, methods: readonly string[]): object[] {
  return answersIn(text, methods).map(({ headers, ...answer }) => ({
    ...answer,
    headers: headers.filter((line) => !/^(Content-Length|Transfer-Encoding|Trailer): /.test(line)),
  }))
}

/** All that a server says to these packets, until it closes the connection. */
async function conversation(port: number, packets: readonly string[]): Promise<string> {
  const client = new Client(port)
  await client.writeParts(packets)
  await client.until(() => client.ended || client.closed, 'the server does not end')
  client.destroy()
  return client.received
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const bodies = fc.oneof(
  fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  fc.integer({ min: 1, max: 300_000 }).map((length) => 'x'.repeat(length)),
)

interface Asked {
  method: string
  /** Whom it is for, and what that is to do. */
  what: string
  local: boolean
  rest: string
}

const plain = fc.constantFrom('who', 'status:204', 'status:304', 'status:404', 'pieces:5', 'trailers', 'echo')
const asked: fc.Arbitrary<Asked> = fc.oneof(
  fc.record({
    method: fc.constantFrom('GET', 'HEAD', 'DELETE'),
    what: plain,
    local: fc.boolean(),
    rest: fc.constant('\r\n'),
  }),
  fc.tuple(bodies, fc.boolean(), fc.boolean()).map(([body, expects, local]) => ({
    method: 'POST',
    what: 'echo',
    local,
    rest: `${expects ? 'Expect: 100-continue\r\n' : ''}Content-Length: ${body.length}\r\n\r\n${body}`,
  })),
  fc.tuple(fc.array(bodies, { maxLength: 4 }), fc.boolean(), fc.boolean()).map(([chunks, trails, local]) => {
    const parts = chunks.filter((chunk) => chunk !== '')
    const body = parts.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')
    const trailers = trails ? 'X-Sum: 7\r\nX-Other: \xfc\r\n' : ''
    return { method: 'PUT', what: 'echo', local, rest: `Transfer-Encoding: chunked\r\n\r\n${body}0\r\n${trailers}\r\n` }
  }),
)

pair('requests of several sessions, pipelined and in any packets', async ({ port, target }) => {
  const direct = createOddApp(() => 'back').server
  const directPort = await listening(direct)
  try {
    await fc.assert(
      fc.asyncProperty(
        fc.array(asked, { minLength: 1, maxLength: 6 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 }),
        async (requests, cuts) => {
          const last = 'GET /?do=echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
          const heads = requests.map(({ method, what, local, rest }) => {
            // Whoever answers says who he is, and that is not to differ.
            const way = local && what === 'who' ? 'echo' : what
            return `${method} ${local ? `/?do=${way}` : target(way)} HTTP/1.1\r\nHost: x\r\n${rest}`
          })
          const whole = [...heads, last].join('')
          const at = [0, ...cuts.map((cut) => Math.floor(cut * whole.length)).sort((a, b) => a - b), whole.length]
          const packets = at.slice(1).map((end, index) => whole.slice(at[index], end))
          const methods = [...requests.map(({ method }) => method), 'GET']
          const [expected, got] = await Promise.all([conversation(directPort, packets), conversation(port, packets)])
          assert.is(alike(expected, methods).filter((one) => !/ 100 /.test(JSON.stringify(one))).length, methods.length)
          assert.equal(alike(got, methods), alike(expected, methods))
        },
      ),
      { numRuns: 60 },
    )
  } finally {
    direct.close()
  }
})

for (const [what, body] of [
  ['who', 'back'],
  ['pieces:3', 'piece 2;piece 1;piece 0;'],
  ['status:204', ''],
] as const) {
  pair(`HTTP/1.0, with and without what it need not have: ${what}`, async ({ port, target }) => {
    for (const fields of ['', 'Host: x\r\n', 'Connection: keep-alive\r\nHost: x\r\n']) {
      const client = new Client(port)
      await client.write(`GET ${target(what)} HTTP/1.0\r\n${fields}\r\n`)
      await client.got(/\r\n\r\n/)
      await client.until(() => client.ended || /keep-alive/.test(client.received), 'no end')
      const [answer] = answersIn(client.received, ['GET'])
      assert.match(answer?.status ?? '', /^HTTP\/1\.1 20[04] /)
      assert.not.match(client.received, 'chunked')
      assert.is(answer?.body, body)
      client.destroy()
    }
  })
}

pair('requests behind one that is not answered yet end with their connection', async ({ hub, port, target, seen }) => {
  for (const first of ['/?do=hang', target('hang')]) {
    const before = await seen()
    const own = first.startsWith('/?') ? 0 : 1
    const client = new Client(port)
    await client.write(
      [first, target('hang')].map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join('') +
        `POST ${target('hang')} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf`,
    )
    await until(async () => (await seen()).begun === before.begun + own + 2, 'they have come')
    client.destroy()
    await until(async () => (await seen()).aborted === before.aborted + own + 2, 'their owner sees the end')
    await until(async () => (await hub.to('back').request('open')) === 0, 'no connection is left')
  }
})

pair(
  'an answer that comes before the body has been read, and a connection that goes on',
  async ({ port, target, seen }) => {
    for (const way of ['early', 'early:close', 'eager']) {
      const client = new Client(port)
      const body = 'x'.repeat(3_000_000)
      await client.write(`POST ${target(way)} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`)
      await client.until(() => /too large|taken/.test(answersIn(client.received, ['POST'])[0]?.body ?? ''), 'no answer')
      // All of it is taken, and the next request is answered.
      await client.write(body)
      const from = client.received.length
      await client.write(`GET ${target('who')} HTTP/1.1\r\nHost: x\r\n\r\n`)
      await client.until(() => /\r\n\r\nback$/.test(client.received.slice(from)), 'no answer')
      client.destroy()
    }
    await until(async () => (await seen()).read === 3_000_000, 'who reads it has got all of it')
  },
)

pair('trailers come along, and so do headers as long as a server may send', async ({ port, target }) => {
  const client = new Client(port)
  await client.write(
    `PUT ${target('echo')} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\n\r\n`,
  )
  await client.got(/\{"x-sum":"7"\}$/)
  await client.write(`GET ${target('trailers')} HTTP/1.1\r\nHost: x\r\n\r\n`)
  await client.got(/\r\n0\r\nX-Sum: end\r\n\r\n$/)
  await client.write(`GET ${target('large:60000')} HTTP/1.1\r\nHost: x\r\n\r\n`)
  await client.got(/\r\nX-Large: x{60000}\r\n.*\r\nlarge\r\n0\r\n\r\n$/s)
  client.destroy()
})

pair('a thousand headers leave no trace of who forwarded them', async ({ port, target }) => {
  const client = new Client(port)
  // So many a server reads; what follows it does not see, or refuses from Node.js 26 on.
  await client.write(`GET ${target('head')} HTTP/1.1\r\nHost: x\r\n${'A: b\r\n'.repeat(1005)}\r\n`)
  await client.got(/\]\}$|^HTTP\/1\.1 431 /)
  assert.not.match(client.received, /hubwire/i)
  client.destroy()
})

pair('a slow reader holds back who writes to it', async ({ port, target, seen }) => {
  const client = new Client(port)
  client.socket.pause()
  await client.write(`GET ${target('flood:20000')} HTTP/1.1\r\nHost: x\r\n\r\n`)
  let last = -1
  let still = 0
  // Until nothing moves any more.
  await until(async () => {
    const { written } = await seen()
    still = written === last && written > 0 ? still + 1 : 0
    last = written
    return still > 50
  }, 'it is held back')
  assert.ok(last < 32 << 20, `${last} bytes were written to somebody who reads nothing`)
  client.destroy()
  await until(async () => (await seen()).aborted === 1, 'its owner sees the end')
})

pair('a slow owner holds back who writes to it, and gets every byte', async ({ hub, port, target, seen }) => {
  const client = new Client(port)
  const size = 64 << 20
  const body = Buffer.alloc(1 << 20, 'y').toString('latin1')
  await client.write(`POST ${target('lazy')} HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n`)
  let sent = 0
  let last = -1
  let still = 0
  for (let i = 0; i < 64; i++) void client.write(body).then(() => (sent += body.length))
  await until(async () => {
    await seen()
    still = sent === last ? still + 1 : 0
    last = sent
    return still > 50
  }, 'it is held back')
  assert.ok(sent < 32 << 20, `${sent} bytes were sent to somebody who reads nothing`)
  assert.is(await hub.to('back').request('read'), true)
  await client.got(new RegExp(` ${size} [0-9a-f]{40} `))
  assert.is((await seen()).read, size)
  client.destroy()
})

pair('more requests at a time than wait for a server that is busy', async ({ hub, port, target }) => {
  const pid = hub.members.find(({ id }) => id === 'back')?.pid as number
  const clients: Client[] = []
  process.kill(pid, 'SIGSTOP')
  try {
    // The kernel keeps so many for a server that does not accept, and refuses the others.
    for (let i = 0; i < 1200; i++) {
      const client = new Client(port)
      clients.push(client)
      if (i % 50 === 49) await client.until(() => !client.socket.connecting, 'no connection')
      void client.write(
        i % 2 === 0
          ? `GET ${target('who')} HTTP/1.1\r\nHost: x\r\n\r\n`
          : `POST ${target('echo')} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc`,
      )
    }
    await until(async () => (await hub.to('front').request('open')) === clients.length, 'all are at the other one')
    await until(async () => (await hub.to('front').request('seen')).begun >= 0, 'it turns')
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  for (const client of clients) {
    await client.got(/^HTTP\/1\.1 200 .*\r\n\r\n(back|POST .* 3 .*)$/s)
    client.destroy()
  }
})

const UPGRADE = 'Host: x\r\nConnection: Upgrade\r\nUpgrade: odd\r\nX-Hubwire-Forwarded: made up\r\n\r\n'

pair(
  'an upgrade that cannot travel tells its owner who the client is, and nobody how',
  async ({ port, target }) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
    socket.write(`GET ${target('up:3')} HTTP/1.1\r\n${UPGRADE}`)
    let received = ''
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
    })
    await once(socket, 'end')
    assert.match(received, /^HTTP\/1\.1 101 .*\}zzz$/s)
    const { who, remotePort, rawHeaders } = JSON.parse(received.replace(/^.*\r\n\r\n|zzz$/gs, ''))
    assert.equal([who, remotePort], ['back', socket.localPort])
    assert.equal(rawHeaders, ['Host', 'x', 'Connection', 'Upgrade', 'Upgrade', 'odd'])
    socket.destroy()
  },
  { TLS: 'yes' },
)

pair(
  'where the parser is lenient, what cannot be sent on is refused',
  async ({ hub, port, target }) => {
    const pids = hub.members.map(({ pid }) => pid)
    for (const fields of ['X: a\x01b\r\n', 'X: a\r\n', 'Content-Length: 1\r\nTransfer-Encoding: chunked\r\n']) {
      const client = new Client(port)
      await client.write(`POST ${target('who')} HTTP/1.1\r\nHost: x\r\n${fields}\r\n0\r\n\r\n`)
      await client.got(/^HTTP\/1\.1 (200|400) /)
      client.destroy()
    }
    assert.equal(
      hub.members.map(({ pid }) => pid),
      pids,
    )
  },
  { SERVER: JSON.stringify({ insecureHTTPParser: true }) },
)

test.run()
