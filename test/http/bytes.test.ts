import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { type PrimaryHub, startHub } from 'hubwire'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createApp } from './app.js'
import { Client, web } from './harness.js'

// What comes out behind the hub is what comes out of a server that listens itself, however the bytes are cut.

const plain = createApp(() => 'web-1')
let hub: PrimaryHub
let ports: { plain: number; line: number; head: number; nothing: number }

test.before(async () => {
  plain.listen(0, '127.0.0.1')
  await once(plain, 'listening')
  hub = await startHub({ signals: false, workers: [{ role: 'web', exec: web }] })
  const host = '127.0.0.1'
  const line = await hub.listen({ port: 0, host })
  const head = await hub.listen({ port: 0, host, sticky: { cookie: 'io' } })
  const nothing = await hub.listen({ port: 0, host, sticky: false })
  ports = {
    plain: (plain.address() as AddressInfo).port,
    line: line.address().port,
    head: head.address().port,
    nothing: nothing.address().port,
  }
})

test.after(async () => {
  await hub.close()
  plain.closeAllConnections()
  plain.close()
})

/** All that a server says to these packets, until it closes the connection. */
async function conversation(port: number, packets: readonly string[], slowly = false): Promise<string> {
  const client = new Client(port)
  for (const packet of packets) {
    if (client.socket.destroyed) break
    await client.write(packet)
    if (slowly) await new Promise((resolve) => setTimeout(resolve, 2))
  }
  client.socket.end()
  await client.until(() => client.ended, 'the server does not end')
  client.destroy()
  return client.received
}

function cut(text: string, positions: readonly number[]): string[] {
  const sorted = [...new Set(positions)].sort((a, b) => a - b)
  const edges = [0, ...sorted.filter((at) => at > 0 && at < text.length), text.length]
  return edges.slice(1).map((end, index) => text.slice(edges[index], end))
}

for (const mode of ['line', 'head', 'nothing'] as const) {
  test(`every split of a small request, where the hub reads the ${mode}`, async () => {
    const request =
      '\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nCookie: io=b; a=c\r\nX-Note: n\r\nContent-Length: 11\r\nConnection: close\r\n\r\nhello world'
    const expected = await conversation(ports.plain, [request])
    assert.match(expected, 'POST /echo 11 ')
    const splits = Array.from({ length: request.length }, (_, at) => at)
    // A few at a time: they do not wait for each other.
    for (let from = 0; from < splits.length; from += 10) {
      const some = splits.slice(from, from + 10)
      const got = await Promise.all(some.map((at) => conversation(ports[mode], cut(request, [at]), true)))
      got.forEach((text, index) => {
        assert.is(text, expected, `split at ${some[index]}`)
      })
    }
  })
}

test('one byte at a time', async () => {
  const request = 'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello'
  const expected = await conversation(ports.plain, [request])
  assert.is(await conversation(ports.line, [...request], true), expected)
  assert.is(await conversation(ports.head, [...request], true), expected)
})

test('a request that ends too early, and one that is none, get the worker’s own answer', async () => {
  for (const request of [
    'GET /who HT',
    'GET /who HTTP/1.1\r\nHo',
    'nonsense\r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    '\r\n',
  ]) {
    const expected = await conversation(ports.plain, [request])
    assert.is(await conversation(ports.line, [request]), expected, request)
    assert.is(await conversation(ports.head, [request]), expected, request)
  }
})

const bodies = fc.oneof(
  fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  // More than the hub, the channel or a socket reads at once.
  fc.integer({ min: 1, max: 300_000 }).map((length) => 'x'.repeat(length)),
)
const requests = fc.oneof(
  fc.constant('GET /who HTTP/1.1\r\nHost: x\r\n\r\n'),
  fc.integer({ min: 1, max: 20_000 }).map((length) => `GET /${'q'.repeat(length % 9000)} HTTP/1.1\r\nHost: x\r\n\r\n`),
  bodies.map((body) => {
    return `POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  }),
  fc.tuple(fc.array(bodies, { maxLength: 4 }), fc.boolean()).map(([chunks, expects]) => {
    const parts = chunks.filter((chunk) => chunk !== '')
    const body = parts.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')
    const expect = expects ? 'Expect: 100-continue\r\n' : ''
    return `PUT /chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n${expect}\r\n${body}0\r\n\r\n`
  }),
)
// Alone: behind a request whose answer is still to come, Node itself gives one order or the other.
const upgrades = fc
  .array(bodies, { maxLength: 3 })
  .map((parts) => [`GET /up HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n${parts.join('')}`])
const pipelines = fc
  .array(requests, { minLength: 1, maxLength: 6 })
  .map((several) => [...several, 'GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'])

const conversations = fc
  .record({
    texts: fc.oneof({ arbitrary: pipelines, weight: 3 }, { arbitrary: upgrades, weight: 1 }),
    cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 }),
    early: fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 4 }),
    slowly: fc.boolean(),
  })
  .map(({ texts, cuts, early, slowly }) => {
    const whole = texts.join('')
    const positions = [...cuts.map((share) => Math.floor(share * whole.length)), ...early]
    return { packets: cut(whole, positions), slowly }
  })

for (const mode of ['line', 'head', 'nothing'] as const) {
  test(`pipelined requests, bodies, chunks and upgrades in any packets, where the hub reads the ${mode}`, () =>
    fc.assert(
      fc.asyncProperty(conversations, async ({ packets, slowly }) => {
        const [expected, got] = await Promise.all([
          conversation(ports.plain, packets, slowly),
          conversation(ports[mode], packets, slowly),
        ])
        assert.is(got, expected)
      }),
      { numRuns: 60 },
    ))
}

test('what is written into the connection while it travels arrives', async () => {
  const clients = Array.from({ length: 20 }, () => new Client(ports.line))
  const each = clients.map(async (client, n) => {
    for (let i = 0; i < 50; i++) await client.write(`GET /r${n}-${i} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await client.got(new RegExp(`GET /r${n}-49 `))
    const order = [...client.received.matchAll(/GET \/r\d+-(\d+) /g)].map(([, i]) => Number(i))
    assert.equal(
      order,
      Array.from({ length: 50 }, (_, i) => i),
    )
    client.destroy()
  })
  await Promise.all(each)
})

test.run()
