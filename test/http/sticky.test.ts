import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { isComplete, parseHead } from '#lib/http/request-head.js'
import { makeSessionId } from '#lib/http/session-id.js'
import { isBelow, normalisePath, sessionAddress } from '#lib/http/session-path.js'
import { canonicalAddress, hash, stickiness } from '#lib/http/sticky.js'
import { Client, fetch, site, until } from './harness.js'

const SECRET = 'abcdefghijklmnopqrst'

test('session ids below the path, and nowhere else', () => {
  const id = makeSessionId(77, SECRET)
  const path = normalisePath('/socket.io/')
  assert.is(sessionAddress(path, `/socket.io/?EIO=4&sid=${id}`), 77)
  assert.is(sessionAddress(path, `/socket.io/?sid=${encodeURIComponent(id).replace('.', '%2E')}&x=1`), 77)
  assert.is(sessionAddress(path, `/socket.io?sid=${id}`), 77)
  assert.is(sessionAddress(path, `/socket.io/?xsid=${id}`), undefined)
  assert.is(sessionAddress(path, `/socket.iox/?sid=${id}`), undefined)
  assert.is(sessionAddress(path, `/app?sid=${id}`), undefined)
  assert.is(sessionAddress(path, '/socket.io/?sid=%zz'), undefined)
  assert.is(sessionAddress(path, `/socket.io/?sid=${SECRET}`), undefined)
  assert.is(sessionAddress(path, '/socket.io/?sid=77.short'), undefined)
  assert.ok(isBelow('', '/anything'))
})

test('empty lines before a request line do not hide it', () => {
  const empty = Buffer.from('\r\n\n')
  assert.not(isComplete(empty, 'line'))
  const whole = Buffer.concat([empty, Buffer.from('GET /a HTTP/1.1\r\nHost: x\r\n\r\n')])
  for (const part of ['line', 'head'] as const) {
    assert.ok(isComplete(whole, part))
    assert.is(parseHead(whole, part).target, '/a')
  }
})

test('one client, one address', () => {
  const spellings = ['192.0.2.1', '::ffff:192.0.2.1', '::FFFF:c000:201', '0:0:0:0:0:ffff:c000:0201', '192.0.2.1:4000']
  for (const spelling of spellings) assert.is(canonicalAddress(spelling), '192.0.2.1', spelling)
  for (const spelling of ['2001:db8::1', '2001:DB8:0:0::0001', '[2001:db8::1]', '[2001:db8::1]:443']) {
    assert.is(canonicalAddress(spelling), '2001:db8::1', spelling)
  }
  for (const odd of ['fe80::1%eth0', 'unknown', '_hidden', '']) assert.is(canonicalAddress(odd), odd)
  fc.assert(
    fc.property(fc.ipV6(), (address) => canonicalAddress(canonicalAddress(address)) === canonicalAddress(address)),
  )
})

test('a trusted header: its first address, else that of the connection', () => {
  const { affinity, reads } = stickiness({ header: 'X-Forwarded-For' }, '')
  const remote = () => '10.0.0.1'
  const key = (fields: string) => affinity({ target: '/', fields }, remote).key
  assert.is(reads, 'head')
  assert.is(key('Host: x\r\nx-forwarded-for: 192.0.2.1, 10.0.0.9\r\n'), '192.0.2.1')
  assert.is(key('Host: x\r\nX-Forwarded-For:\r\n'), '10.0.0.1')
  assert.is(key('Host: x'), '10.0.0.1')
})

test('a cookie: the session that it names, else its value', () => {
  const { affinity } = stickiness({ cookie: 'io' }, '')
  const of = (value: string) => affinity({ target: '/', fields: `Host: x\r\ncookie: ${value}\r\n` }, () => undefined)
  assert.is(of(`a=1; io=${makeSessionId(99, SECRET)}; b=2`).address, 99)
  assert.is(of('io=abc').key, 'abc')
  assert.equal(of('xio=abc'), {})
})

test('the hash spreads neighbours evenly', () => {
  const counts = [0, 0, 0]
  for (let i = 0; i < 3000; i++) {
    const weights = [1, 2, 3].map((seat) => hash(`10.0.${i >> 8}.${i & 255}\0web-${seat}`))
    const best = weights.indexOf(Math.min(...weights))
    counts[best] = (counts[best] as number) + 1
  }
  for (const count of counts) assert.ok(count > 850 && count < 1150, String(counts))
})

// Idle connections must stay, however slow this machine is.
const PATIENT = { SERVER: JSON.stringify({ keepAliveTimeout: 60_000 }) }

site('a new connection goes to the worker with fewest', { count: 3, env: PATIENT }, async ({ port, hub }) => {
  const clients = Array.from({ length: 9 }, () => new Client(port))
  const ids = await Promise.all(clients.map((client) => client.who()))
  const on = (id: string) => clients.filter((_, index) => ids[index] === id)
  for (const id of ['web-1', 'web-2', 'web-3']) assert.is(on(id).length, 3, id)
  for (const client of on('web-2')) client.destroy()
  const there = () => hub.stats().http?.workers.find(({ id }) => id === 'web-2')
  await until(() => there()?.connections === 0, 'the hub knows that web-2 has none')
  const more = Array.from({ length: 3 }, () => new Client(port))
  assert.equal(await Promise.all(more.map((client) => client.who())), ['web-2', 'web-2', 'web-2'])
  for (const client of [...clients, ...more]) client.destroy()
})

site('by address: always the same worker', { count: 3, sticky: 'ip', host: '::' }, async ({ port }) => {
  const seen = new Set<string>()
  for (let i = 0; i < 5; i++) seen.add((await fetch(port, '/who')).body)
  assert.is(seen.size, 1)
  const mapped = (await fetch(port, '/who', { host: '::ffff:127.0.0.1' })).body
  assert.ok(seen.has(mapped))
  // Each address of this host is another client.
  const others = new Set<string>()
  for (let i = 1; i < 40; i++) others.add((await fetch(port, '/who', { localAddress: `127.0.0.${i}` })).body)
  assert.is(others.size, 3)
})

site('by cookie and by header', { count: 3, sticky: { cookie: 'user' } }, async ({ port, hub }) => {
  const places = new Map<string, string>()
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 20; i++) {
      const { body } = await fetch(port, '/who', { headers: { cookie: `a=b; user=u${i}` } })
      assert.is(places.get(`u${i}`) ?? body, body)
      places.set(`u${i}`, body)
    }
  }
  assert.is(new Set(places.values()).size, 3)
  // Only those whose worker is gone move.
  await hub.stop('web-2')
  for (const [user, place] of places) {
    const { body } = await fetch(port, '/who', { headers: { cookie: `user=${user}` } })
    if (place === 'web-2') assert.is.not(body, 'web-2')
    else assert.is(body, place)
  }
  const second = await hub.listen({ port: 0, host: '127.0.0.1', sticky: { header: 'x-real-ip' } })
  const seen = new Map<string, string>()
  for (let i = 0; i < 20; i++) {
    const headers = { 'x-real-ip': `192.0.2.${i % 10}` }
    const { body } = await fetch(second.address().port, '/who', { headers })
    assert.is(seen.get(headers['x-real-ip']) ?? body, body)
    seen.set(headers['x-real-ip'], body)
  }
})

test.run()
