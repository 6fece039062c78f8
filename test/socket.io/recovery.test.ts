import type { PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type App, Servers, startPrimary, until } from './servers.js'

let hub: PrimaryHub<App>
let servers: Servers

test.before(async () => {
  hub = await startPrimary()
  const recovery = { connectionStateRecovery: { maxDisconnectionDuration: 1000 } }
  servers = await Servers.start(hub, 'hubwire', 2, { OPTIONS: JSON.stringify(recovery) })
})
test.after.each(async () => {
  servers.closeClients()
  await servers.idle('/')
})
test.after(() => hub.close())

const reconnecting = { reconnection: true, reconnectionDelay: 100, randomizationFactor: 0 }

/** What server `from` sends to the room, to all, to another room, and past the room: three are for the client. */
const send = (from: number, n: number) =>
  servers.run(
    from,
    ({ io }, n) => {
      io.to('r').emit('n', n)
      io.emit('n', n + 1)
      io.to('other').emit('n', -1)
      io.except('r').emit('n', -2)
      io.to(['r', 'other']).emit('n', n + 2, { deep: [n] })
    },
    n,
  )

for (const transport of ['websocket', 'polling'] as const) {
  test(`a client that comes back to its worker gets what it missed, from all workers, in order: ${transport}`, async () => {
    const client = await servers.connect(1, '/', transport, reconnecting)
    await client.join('r')
    const id = client.socket.id
    const numbers = () => client.received.filter(([event]) => event === 'n').map(([, n]) => n)
    await send(0, 10)
    await until(() => numbers().length === 3)
    const back = new Promise<void>((resolve) => client.socket.io.once('reconnect', () => resolve()))
    client.socket.io.engine.close()
    await until(() => servers.run(1, ({ io }) => io.sockets.sockets.size === 0))
    await send(0, 20)
    await send(1, 30)
    await send(0, 40)
    await back
    await until(() => client.socket.connected && numbers().length >= 12)
    assert.ok(client.socket.recovered)
    assert.is(client.socket.id, id)
    await send(0, 50)
    await until(() => numbers().length >= 15)
    assert.equal(numbers(), [10, 11, 12, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51, 52])
  })
}

test('when a session has expired, its rooms are no longer held', async () => {
  const client = await servers.connect(1)
  await client.join('r')
  await send(0, 10)
  await until(() => client.received.length === 3)
  const packets = () => servers.run(1, ({ state }) => state.packets as number)
  client.socket.io.engine.close()
  await until(() => servers.run(1, ({ io }) => io.sockets.sockets.size === 0))
  const before = await packets()
  await send(0, 20)
  await until(async () => (await packets()) > before)
  await new Promise((resolve) => setTimeout(resolve, 1200))
  const after = await packets()
  await send(0, 30)
  await hub.to(servers.id(1)).request('port')
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.is(await packets(), after)
})

test('a client that comes to another worker connects anew', async () => {
  const client = await servers.connect(1)
  await client.join('r')
  await send(0, 10)
  await until(() => client.received.length === 3)
  // What a reconnecting client would say there.
  const { _pid: pid, _lastOffset: offset } = client.socket as unknown as { _pid: string; _lastOffset: string }
  client.socket.io.engine.close()
  const other = await servers.connect(0, '/', 'websocket', { auth: { pid, offset } })
  assert.not(other.socket.recovered)
  assert.is.not(other.socket.id, client.socket.id)
})

test.run()
