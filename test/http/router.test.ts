import type { AddressInfo } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { connectionFrom, type Entrance, sessionConnection } from '#lib/http/connection.js'
import { createRawServer, type RawHandle } from '#lib/http/raw-handle.js'
import { Router } from '#lib/http/router.js'
import type { HttpToMember } from '#lib/relay/control.js'
import type { Peer } from '#lib/relay/peer.js'
import type { Transport } from '#lib/wire/transport.js'
import { until } from '../conditions.js'
import { Client } from './harness.js'

type Done = (error: Error | null) => void

/** Where connections come in. */
function entranceOf(role: string): Entrance {
  return { role, maxWaiting: 10, waitTimeout: 1000, pending: 0, closed: false, warned: false }
}

/** A member whose channel does with handles what the test says. */
function member(id: string, address: number): { peer: Peer; sent: Done[] } {
  const sent: Done[] = []
  const transport: Transport = { send() {}, sendHandle: (_batch, _handle, done) => sent.push(done) }
  const peer = { place: { id, role: 'web' }, incarnation: 1, address, ready: true, transport }
  return { peer: peer as unknown as Peer, sent }
}

test('while a member hands over, what belongs to its sessions goes to its successor, unless that sends it back', () => {
  const told: HttpToMember[] = []
  const router = new Router((_peer, message) => told.push(message))
  const entrance = entranceOf('web')
  const [old, next] = [member('web-1', 1), member('web-1', 2)]
  for (const { peer } of [old, next]) router.http(peer, { t: 'serve', socket: '/none', tls: false })
  /** How many went to each since the last time. */
  const admit = (address: number | undefined, times: number, pinned = false) => {
    const before = [old.sent.length, next.sent.length] as const
    for (let i = 0; i < times; i++) {
      router.admit(connectionFrom(entrance, {} as RawHandle, undefined, { address }, { pinned }))
      for (const { sent } of [old, next]) sent.at(-1)?.(null)
    }
    return [old.sent.length - before[0], next.sent.length - before[1]]
  }
  old.peer.ready = false
  router.succeeded(old.peer, next.peer)
  assert.equal(admit(undefined, 4), [0, 4])
  assert.equal(admit(1, 4), [0, 4])
  assert.equal(admit(1, 4, true), [4, 0])
  assert.equal(admit(2, 4), [0, 4])
  router.http(old.peer, { t: 'unserve' })
  assert.equal(admit(1, 4, true), [0, 4])
  router.gone(old.peer)
  assert.equal(admit(1, 4), [0, 4])
  const last = told.at(-1)
  assert.equal(last?.t === 'servers' && last.successors, [[1, 2]], 'the members know it, too')
})

test('whose channel has failed gets no connection any more, and its own go to others, before its end is known', () => {
  const router = new Router(() => {})
  const entrance = entranceOf('web')
  const [dead, well] = [member('web-1', 1), member('web-2', 2)]
  for (const { peer } of [dead, well]) router.http(peer, { t: 'serve', socket: '/none', tls: false })
  const handle = {} as RawHandle
  const admit = () => router.admit(connectionFrom(entrance, handle, undefined, {}))
  admit()
  assert.equal([dead.sent.length, well.sent.length], [1, 0])
  dead.sent[0]?.(new Error('Channel closed'))
  for (let i = 0; i < 3; i++) {
    admit()
    well.sent.at(-1)?.(null)
  }
  assert.is(dead.sent.length, 1)
  const { workers, waiting, routed, rerouted } = router.stats()
  assert.equal(
    { queued: workers.map(({ queued }) => queued), waiting, rerouted },
    { queued: [0, 0], waiting: 0, rerouted: 1 },
  )
  well.sent.at(-1)?.(null)
  assert.is(router.stats().routed, 4, String(routed))
})

test('of members with equally many connections, the one whose turn was longest ago is next', () => {
  const router = new Router(() => {})
  const entrance = entranceOf('web')
  const members = [member('web-1', 1), member('web-2', 2), member('web-3', 3)]
  for (const { peer } of members) router.http(peer, { t: 'serve', socket: '/none', tls: false })
  for (let i = 0; i < 6; i++) {
    router.admit(connectionFrom(entrance, {} as RawHandle, undefined, {}))
    const { peer, sent } = members[i % 3] as (typeof members)[0]
    sent.at(-1)?.(null)
    router.http(peer, { t: 'connections', taken: sent.length, open: 0 })
  }
  assert.equal(
    members.map(({ sent }) => sent.length),
    [2, 2, 2],
  )
})

test('a member that takes nothing keeps what only it can have; all else goes to another', async () => {
  const router = new Router(() => {})
  const entrance = { ...entranceOf('web'), waitTimeout: 60_000 }
  const [wedged, well] = [member('web-1', 1), member('web-2', 2)]
  for (const { peer } of [wedged, well]) router.http(peer, { t: 'serve', socket: '/none', tls: false })
  // One is under way, and both kinds wait behind it.
  for (const pinned of [false, true, false]) {
    router.admit(connectionFrom(entrance, {} as RawHandle, undefined, { address: 1 }, { pinned }))
  }
  assert.equal([wedged.sent.length, well.sent.length], [1, 0])
  const { now } = performance
  performance.now = () => now.call(performance) + 1500
  try {
    await until(() => well.sent.length === 1, 'one goes to the other')
  } finally {
    performance.now = now
  }
  well.sent[0]?.(null)
  wedged.sent[0]?.(null)
  wedged.sent[1]?.(null)
  assert.equal([wedged.sent.length, well.sent.length], [2, 1])
  const { routed, rerouted, waiting } = router.stats()
  assert.equal({ routed, rerouted, waiting }, { routed: 3, rerouted: 1, waiting: 0 })
})

test('of a member that is gone, sessions end, and so does what came in where nobody listens any more', async () => {
  const router = new Router(() => {})
  const entrance = entranceOf('web')
  const { peer, sent } = member('web-1', 1)
  router.http(peer, { t: 'serve', socket: '/none', tls: false })
  let closed = 0
  const handle = { close: () => closed++ } as unknown as RawHandle
  router.admit(sessionConnection(entrance, handle, { from: 2, to: 1, n: 7 }))
  assert.is(sent.length, 1)
  router.gone(peer)
  assert.equal([closed, router.stats().rejected, router.stats().waiting], [1, 1, 0])

  const next = member('web-1', 3)
  router.http(next.peer, { t: 'serve', socket: '/none', tls: false })
  const server = createRawServer((accepted) => router.admit(connectionFrom(entrance, accepted, undefined, {})))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = new Client((server.address() as AddressInfo).port)
  await until(() => next.sent.length === 1, 'it is under way')
  router.close(entrance)
  router.gone(next.peer)
  assert.equal([router.stats().rejected, router.stats().waiting], [2, 0])
  await client.until(() => client.ended, 'no end')
  assert.match(client.received, /^HTTP\/1\.1 503 /)
  client.destroy()
  server.close()
})

test.run()
