import { HubError, type PrimaryHub, startHub } from 'hubwire'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { recoveryTimes } from '#lib/socket.io/private.js'
import { type App, type Client, Servers, startPrimary, until } from './servers.js'

const ON = { OPTIONS: JSON.stringify({ connectionStateRecovery: {} }) }

/** Runs with two servers of a hub of its own. */
async function withServers(
  recovery: { maxBytes?: number; maxPackets?: number; maxSessions?: number },
  env: Record<string, string>,
  body: (servers: Servers, hub: PrimaryHub<App>) => Promise<void>,
): Promise<void> {
  const hub = await startPrimary({ recovery })
  try {
    const servers = await Servers.start(hub, 'hubwire', 2, env)
    try {
      await body(servers, hub)
    } finally {
      servers.closeClients()
    }
  } finally {
    await hub.close()
  }
}

const emit = (servers: Servers, count: number, text = '') =>
  servers.run(
    0,
    ({ io }, count, text) => {
      for (let i = 0; i < count; i++) io.emit('n', i, text)
    },
    count,
    text,
  )

/** Has clients lose their connection once they have got something, and come back to another server. */
async function comeBack(servers: Servers, clients: readonly Client[], missed: number, text = ''): Promise<void> {
  await emit(servers, 1)
  await until(() => clients.every(({ received }) => received.length === 1))
  for (const client of clients) await servers.cut(client, 1)
  await emit(servers, missed, text)
  for (const client of clients) await servers.reconnect(client, 0)
}

test('when more packets were missed than are kept, clients connect anew', async () => {
  await withServers({ maxPackets: 5 }, ON, async (servers, hub) => {
    const client = await servers.connect(1)
    await comeBack(servers, [client], 5)
    assert.ok(client.socket.recovered)
    await until(() => client.received.length === 6)
    const again = await servers.connect(1)
    await comeBack(servers, [again], 6)
    assert.not(again.socket.recovered)
    const { recovery } = hub.stats()
    assert.is(recovery?.packets, 5)
    assert.is(recovery?.droppedPackets, 8)
    assert.is(recovery?.recovered, 1)
    assert.is(recovery?.refused, 1)
  })
})

test('a client that was sent nothing for long recovers, however much others were sent', async () => {
  await withServers({ maxPackets: 5 }, ON, async (servers, hub) => {
    const client = await servers.connect(1)
    await emit(servers, 1)
    await until(() => client.received.length === 1)
    const id = client.socket.id as string
    const others = () =>
      servers.run(0, ({ io }) => {
        for (let i = 0; i < 20; i++) io.to(`room-${i % 3}`).emit('other')
      })
    await others()
    await servers.cut(client, 1)
    await others()
    await servers.run(0, ({ io }, id) => io.to(id).emit('own') && undefined, id)
    await hub.drained()
    await servers.reconnect(client, 0)
    assert.ok(client.socket.recovered)
    await until(() => client.events.includes('own'))
    assert.equal(client.events, ['n', 'own'])
    assert.ok((hub.stats().recovery?.droppedPackets ?? 0) > 30)
  })
})

test('the bytes of packets are bounded', async () => {
  await withServers({ maxBytes: 10_000 }, ON, async (servers, hub) => {
    const client = await servers.connect(1)
    await comeBack(servers, [client], 5, 'x'.repeat(4000))
    assert.not(client.socket.recovered)
    const { recovery } = hub.stats()
    assert.is(recovery?.packets, 2)
    assert.ok((recovery?.bytes ?? 0) <= 10_000)
    assert.is(recovery?.droppedPackets, 4)
  })
})

test('the clients that are away are bounded: who went first is forgotten', async () => {
  await withServers({ maxSessions: 1 }, ON, async (servers, hub) => {
    const slow: string[] = []
    hub.lifecycle.on('slow', (_member, { queue }) => slow.push(queue))
    const clients = [await servers.connect(1), await servers.connect(1)]
    await comeBack(servers, clients, 1)
    assert.equal(
      clients.map(({ socket }) => socket.recovered),
      [false, true],
    )
    assert.is(hub.stats().recovery?.droppedSessions, 1)
    assert.equal(slow, ['recovery'])
  })
})

test('where recovery is off nothing is kept, and nothing is counted', async () => {
  await withServers({}, {}, async (servers, hub) => {
    const client = await servers.connect(1)
    await comeBack(servers, [client], 3)
    assert.not(client.socket.recovered)
    assert.is(hub.stats().recovery, undefined)
    await emit(servers, 1)
    await until(() => client.received.length === 2)
    assert.equal(client.received[1], ['n', 0, ''])
  })
})

test('messages are kept for as long as a client may be away, and may not know it', () => {
  const times = (options: object) => recoveryTimes({ _opts: options } as never)
  const connectionStateRecovery = { maxDisconnectionDuration: 1000 }
  assert.equal(times({ connectionStateRecovery }), { session: 1000, packets: 46_000 })
  assert.equal(times({ connectionStateRecovery, pingInterval: 10, pingTimeout: 20 }), { session: 1000, packets: 1030 })
  assert.is(times({}), undefined)
})

test('bounds that cannot be meant are refused', async () => {
  for (const recovery of [{ maxBytes: -1 }, { maxPackets: 'many' }, { maxTime: 1 }, 7]) {
    let error: unknown
    await startHub({ recovery: recovery as never }).catch((reason) => {
      error = reason
    })
    assert.ok(error instanceof HubError && error.code === 'ERR_INVALID_ARG_VALUE')
    assert.match(error.message, /startHub\(\): recovery/)
  }
})

test.run()
