// The hub's port and its Socket.IO servers together, as an app has them: real processes and real clients.
import http from 'node:http'
import type { ListenOptions, PrimaryHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { type ManagerOptions, io as open, type Socket, type SocketOptions } from 'socket.io-client'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { addressOf } from '#lib/http/session-id.js'
import { fetch, withSite } from '../http/harness.js'
import { Polling } from '../http/polling.js'
import { until } from './conditions.js'
import type { Chat } from './workers/chat.js'

const exec = new URL('./workers/chat.js', import.meta.url)
const WEB = ['web-1', 'web-2', 'web-3']
const TRANSPORTS = { websocket: ['websocket'], polling: ['polling'], upgrading: ['polling', 'websocket'] }

type ClientOptions = Partial<ManagerOptions & SocketOptions>

/** A client, and what happened to it. */
class Client {
  readonly socket: Socket
  /** All that it received. */
  readonly received: unknown[][] = []
  /** Why it was disconnected, each time. */
  readonly lost: string[] = []
  details: unknown
  /** The worker that it is connected to. */
  home = ''

  constructor(port: number, options: ClientOptions) {
    this.socket = open(`http://127.0.0.1:${port}`, { forceNew: true, reconnectionDelay: 20, ...options })
    this.socket.onAny((...args) => this.received.push(args))
    this.socket.on('disconnect', (reason, details) => {
      this.lost.push(reason)
      this.details = details
    })
  }

  async connected(): Promise<this> {
    await until(() => this.socket.connected, 'a client connects')
    await this.locate()
    return this
  }

  /** Asks where it is; returns whether it was recovered. */
  locate(): Promise<boolean> {
    return new Promise((resolve) => {
      this.socket.emit('where', (home: string, recovered: boolean) => {
        this.home = home
        resolve(recovered)
      })
    })
  }

  enter(room: string): Promise<void> {
    return this.socket.emitWithAck('enter', room)
  }

  /** What it received of this event, by its first argument. */
  heard(event: string): unknown[] {
    return this.received.filter(([name]) => name === event).map(([, value]) => value)
  }
}

interface World {
  port: number
  hub: PrimaryHub<Chat>
  /** The primary's, without an HTTP server. */
  io: Server
  connect(transport: keyof typeof TRANSPORTS, options?: ClientOptions): Promise<Client>
  /** Connects clients of all kinds until there are two at each worker, or more. */
  crowd(): Promise<Client[]>
}

function optionsOf({ OPTIONS = '{}' }: Record<string, string>): object {
  return JSON.parse(OPTIONS)
}

/** A test of an app: three web workers, one without an HTTP server, and the primary. */
function chat(
  name: string,
  body: (world: World) => Promise<void>,
  { env = {}, ...options }: Partial<ListenOptions> & { env?: Record<string, string> } = {},
): void {
  const workers = [
    { role: 'web', count: 3, exec, env },
    { id: 'mailer', exec, env },
  ]
  test(name, () =>
    withSite(workers, { role: 'web', ...options }, async (site) => {
      // The workers' contract is another one than that of the tests of HTTP alone.
      const hub = site.hub as unknown as PrimaryHub<Chat>
      const { port } = site
      const io = attachSocketIo(new Server(optionsOf(env)), hub)
      const clients: Client[] = []
      const connect: World['connect'] = (transport, more = {}) => {
        const client = new Client(port, { transports: TRANSPORTS[transport], ...more })
        clients.push(client)
        return client.connected()
      }
      const crowd = async () => {
        const found: Client[] = []
        const crowded = () => WEB.every((id) => found.filter(({ home }) => home === id).length >= 2)
        while (!crowded()) {
          assert.ok(found.length < 60, 'clients are spread over the workers')
          found.push(await connect((['websocket', 'polling', 'upgrading'] as const)[found.length % 3] as 'polling'))
        }
        return found
      }
      try {
        await body({ port, hub, io, connect, crowd })
        for (const { socket } of clients) socket.disconnect()
        await until(async () => (await io.fetchSockets()).length === 0, 'all sockets are gone')
        for (const id of WEB) {
          await until(async () => (await hub.to(id).request('open')).sessions === 0, `${id} has no sessions`)
          await until(async () => (await hub.to(id).request('open')).connections === 0, `${id} has no connections`)
        }
      } finally {
        for (const { socket } of clients) socket.disconnect()
      }
    }),
  )
}

/** All clients have got all that was sent to them by whoever sends this. */
async function settled(clients: readonly Client[], mark: (value: number) => unknown): Promise<void> {
  const value = Math.random()
  await mark(value)
  await until(() => clients.every((client) => client.heard('mark').includes(value)), 'the mark arrives')
}

for (const transport of Object.keys(TRANSPORTS) as (keyof typeof TRANSPORTS)[]) {
  chat(`rooms across workers, from everybody: ${transport}`, async ({ hub, io, connect }) => {
    const clients: Client[] = []
    while (!WEB.every((id) => clients.filter(({ home }) => home === id).length >= 2)) {
      assert.ok(clients.length < 40, 'clients are spread over the workers')
      clients.push(await connect(transport))
    }
    const last = transport === 'polling' ? 'polling' : 'websocket'
    await until(() => clients.every(({ socket }) => socket.io.engine.transport.name === last), 'they upgrade')

    const inside = clients.filter((_, n) => n % 2 === 0)
    const outside = clients.filter((_, n) => n % 2 === 1)
    await Promise.all(inside.map((client) => client.enter('r')))

    // In the order of each sender.
    for (let n = 0; n < 20; n++) io.to('r').emit('primary', n)
    await settled(clients, (value) => io.emit('mark', value))
    for (let n = 0; n < 20; n++) await hub.to('mailer').request('emit', { room: 'r', args: ['mailer', n] })
    await settled(clients, (value) => hub.to('mailer').request('emit', { args: ['mark', value] }))
    const numbers = Array.from({ length: 20 }, (_, n) => n)
    for (const event of ['primary', 'mailer']) {
      for (const client of inside) assert.equal(client.heard(event), numbers, event)
      for (const client of outside) assert.equal(client.heard(event), [], event)
    }

    // From a client of each worker, which is the only one that does not get it.
    for (const id of WEB) {
      const speaker = clients.find(({ home }) => home === id) as Client
      speaker.socket.emit('say', 'r', id, Buffer.from([1, 2, 3]))
      const listeners = inside.filter((client) => client !== speaker)
      await until(() => listeners.every((client) => client.heard('said').includes(id)), `${id} is heard`)
      await settled(clients, (value) => hub.to(id).request('emit', { args: ['mark', value] }))
      for (const client of clients) {
        const times = client.heard('said').filter((from) => from === id).length
        assert.is(times, listeners.includes(client) ? 1 : 0)
      }
    }
    for (const [, , bytes] of inside.flatMap(({ received }) => received.filter(([name]) => name === 'said'))) {
      assert.equal(Buffer.from(bytes as Uint8Array), Buffer.from([1, 2, 3]))
    }

    // Everybody counts alike.
    for (const id of [...WEB, 'mailer']) {
      const here = clients.filter(({ home }) => home === id).length
      assert.equal(await hub.to(id).request('count'), { all: clients.length, here }, id)
      assert.equal(await hub.to(id).request('count', 'r'), { all: inside.length, here }, id)
    }
    assert.is((await io.fetchSockets()).length, clients.length)
    for (const { socket } of clients) socket.on('ask', (answer) => answer(socket.id))
    const answers = await io.timeout(20_000).emitWithAck('ask')
    assert.equal(new Set(answers), new Set(clients.map(({ socket }) => socket.id)))
    for (const { lost } of clients) assert.equal(lost, [])
  })
}

/** Connections of an agent: how many there have ever been. */
class CountingAgent extends http.Agent {
  made = 0

  override createConnection(...args: Parameters<http.Agent['createConnection']>) {
    this.made++
    return super.createConnection(...args)
  }
}

chat('sessions of all workers on one kept-alive connection hear each other', async ({ port, io }) => {
  const sessions: Polling[] = []
  while (new Set(sessions.map(({ address }) => address)).size < 3 || sessions.length < 6) {
    assert.ok(sessions.length < 40, 'sessions are spread over the workers')
    sessions.push(await Polling.open(port))
  }
  for (const { sid } of sessions) assert.type(addressOf(sid), 'number', `${sid} names a worker`)

  const agent = new CountingAgent({ keepAlive: true, maxSockets: 1 })
  for (const session of sessions) session.agent = agent
  const who = async () => (await fetch(port, '/', { agent })).body
  const here = await who()
  for (const session of sessions) {
    await session.post('42["enter","mixed"]')
    assert.is(await session.get(), '42["entered","mixed"]')
  }
  for (const [n, speaker] of sessions.entries()) {
    await speaker.post(`42["say","mixed","grüße",${n}]`)
    for (const session of sessions) {
      if (session !== speaker) assert.is(await session.get(), `42["said","grüße",${n}]`)
    }
    assert.is(await who(), here)
  }
  io.to('mixed').emit('mail', Buffer.from([1, 2, 3, 4]))
  for (const session of sessions) {
    let got = await session.get()
    // A poll that waits takes the first part alone.
    if (!got.includes('\x1e')) got += `\x1e${await session.get()}`
    assert.is(got, '451-["mail",{"_placeholder":true,"num":0}]\x1ebAQIDBA==')
  }
  assert.is((await io.in('mixed').fetchSockets()).length, sessions.length)
  // The session ends, and is gone from its room, although the word of it took the way through another worker.
  for (const [n, session] of sessions.entries()) {
    await session.post('41')
    await until(
      async () => (await io.in('mixed').fetchSockets()).length === sessions.length - n - 1,
      'the socket leaves its room',
    )
    await session.post('1')
  }
  assert.is(await who(), here)
  assert.is(agent.made, 1, 'all of it went over one connection')
  agent.destroy()
})

/** Breaks a client's connection, and has it miss something. Returns whether it was recovered when it was back. */
async function interrupted(client: Client, io: Server, value: number): Promise<boolean> {
  const count = client.lost.length
  const { id } = client.socket
  client.socket.io.engine.close()
  await until(() => client.lost.length > count, 'it is disconnected')
  await until(async () => !(await io.fetchSockets()).some((socket) => socket.id === id), 'its worker knows')
  io.to('r').emit('missed', value)
  client.socket.connect()
  await until(() => client.socket.connected, 'it is back')
  return await client.locate()
}

const RECOVERY = { OPTIONS: '{"connectionStateRecovery":{}}' }
/** It comes back when it is told to. */
const PATIENT = { reconnection: false }

chat(
  'by address a client comes back to its worker, and is recovered',
  async ({ io, connect }) => {
    const client = await connect('websocket', PATIENT)
    const { home } = client
    const { id } = client.socket
    await client.enter('r')
    // A client that has received nothing has nothing to resume from.
    await settled([client], (value) => io.to('r').emit('mark', value))
    for (let n = 0; n < 5; n++) {
      assert.is(await interrupted(client, io, n), true)
      assert.is(client.home, home)
      assert.is(client.socket.id, id)
    }
    assert.equal(client.heard('missed'), [0, 1, 2, 3, 4])
  },
  { sticky: 'ip', env: RECOVERY },
)

chat(
  'a client that comes back to another worker is recovered, too',
  async ({ io, connect }) => {
    const client = await connect('websocket', PATIENT)
    const homes = new Set([client.home])
    const { id } = client.socket
    await client.enter('r')
    await settled([client], (value) => io.to('r').emit('mark', value))
    let n = 0
    while (homes.size < 2) {
      assert.is(await interrupted(client, io, n++), true)
      assert.is(client.socket.id, id)
      homes.add(client.home)
    }
    assert.equal(client.heard('missed'), [...Array(n).keys()])
  },
  { env: RECOVERY },
)

test.run()
