import type { PrimaryHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type App, type Client, Servers, startPrimary, until } from './servers.js'

let hub: PrimaryHub<App>
let servers: Servers
/** The primary's, without recovery and without clients. */
const io = new Server()

test.before(async () => {
  hub = await startPrimary()
  const recovery = { connectionStateRecovery: { maxDisconnectionDuration: 2000 } }
  servers = await Servers.start(hub, 'hubwire', 3, { OPTIONS: JSON.stringify(recovery) })
  attachSocketIo(io, hub)
})
test.after.each(async () => {
  servers.closeClients()
  await servers.idle('/')
})
test.after(() => hub.close())

const stats = () => {
  const { recovery } = hub.stats()
  assert.ok(recovery)
  return recovery
}

/** What server `from` sends to the room, to all, to others, and past the room: three are for the client. */
const send = (from: number, n: number) =>
  servers.run(
    from,
    ({ io }, n) => {
      io.to('r').emit('n', n)
      io.emit('n', n + 1)
      io.to('other').emit('n', -1)
      io.except('r').emit('n', -2)
      io.local.to('other').emit('n', -3)
      io.to(['r', 'other']).emit('n', n + 2, { deep: [n], bytes: Buffer.from([n]) })
    },
    n,
  )

const numbers = (client: Client) => client.received.filter(([event]) => event === 'n').map(([, n]) => n)

/** A client in room 'r' that has got something. */
async function connected(server: number, transport: 'websocket' | 'polling' = 'websocket'): Promise<Client> {
  const client = await servers.connect(server, '/', transport)
  await client.join('r')
  await send(0, 10)
  await until(() => numbers(client).length === 3)
  return client
}

for (const transport of ['websocket', 'polling'] as const) {
  for (const to of [1, 2]) {
    const where = to === 1 ? 'its own worker' : 'another worker'
    test(`a client that comes back to ${where} gets what it missed, from everybody, in order: ${transport}`, async () => {
      const client = await connected(1, transport)
      const { id } = client.socket
      await client.socket.emitWithAck('data', { name: 'ann', at: 7 })
      const before = stats()
      await servers.cut(client, 1)
      assert.is(stats().away, before.away + 1)
      await send(0, 20)
      await send(1, 30)
      io.to('r').emit('n', 40)
      io.to('other').emit('n', -4)
      io.to(id as string).emit('n', 41)
      await send(2, 50)
      // Behind all that was sent before.
      await hub.drained()
      await servers.reconnect(client, to)
      assert.ok(client.socket.recovered)
      assert.is(client.socket.id, id)
      await send(0, 60)
      io.to('r').emit('n', 70)
      await until(() => numbers(client).at(-1) === 70 || numbers(client).length > 18)
      assert.equal(numbers(client).toSorted(), [
        ...[10, 11, 12, 20, 21, 22, 30, 31, 32, 40, 41, 50, 51, 52, 60, 61, 62, 70],
      ])
      // Only what two others sent at the same time may come in either order.
      for (const of of [
        [10, 11, 12, 20, 21, 22, 60, 61, 62],
        [30, 31, 32],
        [40, 41, 70],
        [50, 51, 52],
      ]) {
        assert.equal(
          numbers(client).filter((n) => of.includes(n as number)),
          of,
        )
      }
      assert.equal(client.received.find(([, n]) => n === 52)?.[2], { deep: [50], bytes: Buffer.from([50]) })
      const after = await servers.run(
        to,
        ({ io }, id) => {
          const socket = io.sockets.sockets.get(id)
          return { rooms: [...(socket?.rooms ?? [])].sort(), data: socket?.data, recovered: socket?.recovered }
        },
        id as string,
      )
      assert.equal(after, { rooms: ['r', id].sort(), data: { name: 'ann', at: 7 }, recovered: true })
      assert.is(stats().recovered, before.recovered + 1)
      assert.is(stats().replayed, before.replayed + 11)
      assert.is(stats().away, before.away)
    })
  }
}

test('what is sent to the client alone is recovered, as long as it is not volatile and wants no acknowledgement', async () => {
  const client = await connected(1)
  const id = client.socket.id as string
  await servers.run(
    1,
    ({ io, state }, id) => {
      state.socket = io.sockets.sockets.get(id)
    },
    id,
  )
  await servers.cut(client, 1)
  await servers.run(1, ({ state }) => {
    state.socket.emit('n', 20)
    state.socket.volatile.emit('n', -1)
    state.socket.emit('n', -2, () => {})
    state.socket.to('r').emit('n', -3)
    state.socket.emit('n', 21)
  })
  await servers.reconnect(client, 2)
  await until(() => numbers(client).includes(21))
  assert.equal(numbers(client), [10, 11, 12, 20, 21])
})

test('text at the end of a volatile message is not taken for how far the client has got', async () => {
  const client = await connected(1)
  const words = (count: number) => until(() => client.events.filter((event) => event === 'word').length === count)
  io.volatile.emit('word', 'text')
  await words(1)
  await servers.run(1, ({ io }) => io.local.volatile.emit('word', 'more') && undefined)
  await words(2)
  await servers.cut(client, 1)
  await send(0, 20)
  await servers.reconnect(client, 0)
  assert.ok(client.socket.recovered)
  await until(() => numbers(client).length === 6)
})

test('a session is taken once', async () => {
  const client = await connected(1)
  // What a reconnecting client says of itself.
  const { _pid: pid, _lastOffset: offset } = client.socket as unknown as { _pid: string; _lastOffset: string }
  // Its own worker still has the socket.
  const early = await servers.connect(0, '/', 'websocket', { auth: { pid, offset } })
  assert.not(early.socket.recovered)
  assert.is.not(early.socket.id, client.socket.id)
  await servers.cut(client, 1)
  await servers.reconnect(client, 2)
  assert.ok(client.socket.recovered)
  const before = stats().refused
  const late = await servers.connect(0, '/', 'websocket', { auth: { pid, offset } })
  assert.is.not(late.socket.id, client.socket.id)
  assert.is(stats().refused, before + 1)
})

test('it survives the SIGKILL of its worker, with its data as of when it connected', async () => {
  const client = await servers.connect(1)
  await client.join(['r', 'left'])
  await client.socket.emitWithAck('leave', 'left')
  await client.socket.emitWithAck('data', { late: true })
  await send(1, 10)
  await until(() => numbers(client).length === 3)
  const { id } = client.socket
  const was = hub.members.find((member) => member.id === servers.id(1))
  process.kill(was?.pid as number, 'SIGKILL')
  await until(() => hub.members.some(({ id, pid }) => id === servers.id(1) && pid !== was?.pid))
  await until(() => !client.socket.connected)
  servers.forget()
  await send(0, 20)
  io.to('left').emit('n', -1)
  await servers.reconnect(client, 2)
  assert.ok(client.socket.recovered)
  assert.is(client.socket.id, id)
  await until(() => numbers(client).length === 6)
  assert.equal(numbers(client), [10, 11, 12, 20, 21, 22])
  const data = await servers.run(2, ({ io }, id) => io.sockets.sockets.get(id)?.data, id as string)
  assert.equal(data, {})
  await until(() => hub.members.every(({ state }) => state === 'ready'))
})

test('a client that was away for too long connects anew', async () => {
  const client = await connected(1)
  const { id } = client.socket
  const { expiredSessions } = stats()
  await servers.cut(client, 1)
  await until(() => stats().expiredSessions > expiredSessions)
  await servers.reconnect(client, 2)
  assert.not(client.socket.recovered)
  assert.is.not(client.socket.id, id)
  await send(0, 20)
  await until(() => numbers(client).length === 5)
  assert.equal(numbers(client), [10, 11, 12, 21, -2])
})

test('a client that left is not expected back, and one that got nothing has nothing to go on from', async () => {
  const left = await connected(1)
  const sessions = stats().sessions
  left.socket.disconnect()
  await until(() => stats().sessions === sessions - 1)
  await servers.reconnect(left, 2)
  assert.not(left.socket.recovered)

  const silent = await servers.connect(1)
  await servers.cut(silent, 1)
  await servers.reconnect(silent, 2)
  assert.not(silent.socket.recovered)
})

test('rooms by number, and odd names, are what they were', async () => {
  const client = await connected(1)
  const id = client.socket.id as string
  const odd = ['', '\0', '\0number:7', 'ü', '7']
  await servers.run(1, ({ io }, id, odd) => io.in(id).socketsJoin([...odd, 7 as never]), id, odd)
  await servers.cut(client, 1)
  io.to(8 as never).emit('n', -1)
  io.to(7 as never).emit('n', 20)
  for (const [i, room] of odd.entries()) io.to(room).emit('n', 21 + i)
  await hub.drained()
  await servers.reconnect(client, 2)
  await until(() => numbers(client).length >= 9)
  assert.equal(numbers(client), [10, 11, 12, 20, 21, 22, 23, 24, 25])
  const rooms = await servers.run(2, ({ io }, id) => [...(io.sockets.sockets.get(id)?.rooms ?? [])], id)
  assert.equal(new Set(rooms), new Set(['r', id, 7, ...odd]))
  io.to(7 as never).emit('n', 30)
  io.to('\0number:7').emit('n', 31)
  await until(() => numbers(client).length >= 11)
})

test.run()
