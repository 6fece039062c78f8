// The Admin UI's server side, instrumenting all workers, as its page in the browser talks to it.
import type { PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type App, type Client, Servers, startPrimary, until } from './servers.js'

let hub: PrimaryHub<App>
let servers: Servers

test.before(async () => {
  hub = await startPrimary()
  servers = await Servers.start(hub, 'hubwire', 3, { ADMIN: 'yes' })
})
test.after.each(async () => {
  servers.closeClients()
  for (const nsp of ['/', '/chat', '/admin']) await servers.idle(nsp)
})
test.after(() => hub.close())

interface Stats {
  pid: number
  clientsCount: number
  namespaces: { name: string; socketsCount: number }[]
}

/** The arguments of all events of this name that the page has got. */
function got(admin: Client, event: string): unknown[][] {
  return admin.received.filter(([name]) => name === event).map(([, ...args]) => args)
}

/** The page is connected to the first server, and listens from the beginning on. */
async function openPage(): Promise<Client> {
  const admin = await servers.connect(0, '/admin')
  await until(() => got(admin, 'all_sockets').length > 0)
  return admin
}

test('the statistics of every server arrive', async () => {
  await Promise.all([servers.connect(1), servers.connect(2), servers.connect(2, '/chat')])
  const admin = await openPage()
  // Each server tells every two seconds.
  const latest = (id: string) => {
    const pid = hub.members.find((member) => member.id === id)?.pid
    return got(admin, 'server_stats').findLast(([stats]) => (stats as Stats).pid === pid)?.[0] as Stats | undefined
  }
  const expected = [
    { clients: 1, '/': 0, '/chat': 0, '/admin': 1 },
    { clients: 1, '/': 1, '/chat': 0, '/admin': 0 },
    { clients: 2, '/': 1, '/chat': 1, '/admin': 0 },
  ]
  const told = () =>
    servers.ids.map((id) => {
      const { clientsCount, namespaces = [] } = latest(id) ?? {}
      const counts = ['/', '/chat', '/admin'].map((nsp) => [
        nsp,
        namespaces.find(({ name }) => name === nsp)?.socketsCount,
      ])
      return { clients: clientsCount, ...Object.fromEntries(counts) }
    })
  await until(() => servers.ids.every((id) => latest(id) !== undefined), 20_000)
  assert.equal(told(), expected)
})

test('the sockets of every server are listed, and those that come and go later are told of', async () => {
  const before = await Promise.all([servers.connect(0), servers.connect(1), servers.connect(2, '/chat', 'polling')])
  await before[1]?.join('r')
  const admin = await openPage()
  const listed = (got(admin, 'all_sockets')[0]?.[0] ?? []) as { id: string; nsp: string; rooms: string[] }[]
  const expected = [...before, admin].map(({ socket }) => socket.id).sort()
  assert.equal(listed.map(({ id }) => id).sort(), expected)
  const joined = listed.find(({ id }) => id === before[1]?.socket.id)
  assert.equal([joined?.nsp, joined?.rooms.sort()], ['/', [joined?.id, 'r'].sort()])

  const late = await servers.connect(2)
  const { id } = late.socket
  await until(() => got(admin, 'socket_connected').some(([socket]) => (socket as { id: string }).id === id))
  await late.join('room')
  await until(() => got(admin, 'room_joined').some(([nsp, room, who]) => nsp === '/' && room === 'room' && who === id))
  await late.socket.emitWithAck('data', { user: 'ann' })
  late.socket.disconnect()
  await until(() => got(admin, 'socket_disconnected').some(([nsp, who]) => nsp === '/' && who === id))
})

test('commands reach the sockets of other servers: emit, join, leave, disconnect', async () => {
  const [near, far, other] = await Promise.all([servers.connect(0), servers.connect(1), servers.connect(2)])
  const admin = await openPage()
  const { id } = far.socket
  admin.socket.emit('join', '/', 'vip', id)
  admin.socket.emit('emit', '/', 'vip', 'hello', 'vip')
  await until(() => far.received.length === 1)
  assert.equal(far.received, [['hello', 'vip']])
  await until(() => got(admin, 'room_joined').some(([, room, who]) => room === 'vip' && who === id))
  admin.socket.emit('leave', '/', 'vip', id)
  admin.socket.emit('emit', '/', 'vip', 'hello', 'nobody')
  admin.socket.emit('emit', '/', undefined, 'hello', 'all')
  for (const client of [near, far, other]) await until(() => client.received.at(-1)?.[1] === 'all')
  assert.equal([near.received.length, far.received.length, other.received.length], [1, 2, 1])

  admin.socket.emit('_disconnect', '/', false, id)
  await until(() => !far.socket.connected)
  await until(() => got(admin, 'socket_disconnected').some(([, who]) => who === id))
  assert.ok(near.socket.connected && other.socket.connected)
})

test.run()
