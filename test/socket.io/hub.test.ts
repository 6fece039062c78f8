import fs from 'node:fs'
import type http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { HubError, type PrimaryHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { addressOf } from '#lib/http/session-id.js'
import { type App, type Client, Servers, sleep, startPrimary, until } from './servers.js'

let hub: PrimaryHub<App>
let servers: Servers
/** The primary's, without an HTTP server. */
const io = new Server()

test.before(async () => {
  hub = await startPrimary()
  servers = await Servers.start(hub, 'hubwire', 3)
  attachSocketIo(io, hub)
})
test.after.each(async () => {
  servers.closeClients()
  for (const nsp of ['/', '/chat']) await servers.idle(nsp)
})
test.after(() => hub.close())

const packets = (server: number) => servers.run(server, ({ state }) => state.packets as number)

test('packets go to workers that hold the room, or any socket of the namespace, and to no others', async () => {
  const [a, b] = await Promise.all([servers.connect(0), servers.connect(1)])
  await a.join('r')
  const before = await Promise.all([packets(0), packets(1), packets(2)])
  for (let i = 0; i < 100; i++) io.to('r').emit('room', i)
  await until(() => a.received.length === 100)
  io.emit('all')
  io.of('/chat').emit('nobody')
  io.to(['nobody', 'else']).emit('nobody')
  await until(() => a.received.length === 101 && b.received.length === 1)
  await sleep(50)
  const after = await Promise.all([packets(0), packets(1), packets(2)])
  assert.equal(
    after.map((count, i) => count - (before[i] as number)),
    [101, 1, 0],
  )

  await a.socket.emitWithAck('leave', 'r')
  io.to('r').emit('late')
  a.socket.disconnect()
  b.socket.disconnect()
  await servers.idle('/')
  await hub.to(servers.id(0)).request('port')
  io.emit('later')
  await sleep(50)
  assert.equal(await Promise.all([packets(0), packets(1), packets(2)]), after)
})

test('a join that has returned is seen by what is sent later, by way of whomever', async () => {
  // The word that somebody has joined takes another way than the hub's: by TCP, from client to client.
  const joiners = await Promise.all([servers.connect(1), servers.connect(2)])
  const speaker = await servers.connect(0)
  const arrived = new Map<number, () => void>()
  for (const { socket } of joiners) socket.on('said', (n: number) => arrived.get(n)?.())
  let next = 0
  const lane = async (name: number) => {
    while (next < 4000) {
      const n = next++
      const joiner = joiners[n % 2] as Client
      // Some rooms come and go again and again, so that leaves and joins follow each other closely.
      const room = n % 3 === 0 ? `again-${name}` : `room-${n}`
      await joiner.join(room)
      speaker.socket.emit('say', room, n)
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`round ${n}: ${room} was not heard`)), 3000)
        arrived.set(n, () => {
          clearTimeout(timer)
          resolve()
        })
      })
      arrived.delete(n)
      await joiner.socket.emitWithAck('leave', room)
    }
  }
  await Promise.all([1, 2, 3, 4, 5, 6].map(lane))
})

test('a client that is connected is found by its id at once, from another worker', async () => {
  const speaker = await servers.connect(0)
  for (let i = 0; i < 100; i++) {
    const client = await servers.connect(1 + (i % 2))
    speaker.socket.emit('say', client.socket.id, i)
    await until(() => client.received.length === 1)
    client.socket.disconnect()
  }
})

test('what a server with many sockets broadcasts is with the others while it still writes to its own', async () => {
  const heard = path.join(os.tmpdir(), `hubwire-heard-${process.pid}`)
  const far = await servers.connect(1)
  far.socket.once('news', () => fs.writeFileSync(heard, ''))
  const near = await Promise.all(Array.from({ length: 101 }, () => servers.connect(0)))
  try {
    const early = await servers.run(
      0,
      ({ io }, heard) => {
        const { existsSync } = process.getBuiltinModule('node:fs')
        let early = false
        // Called before anything is written to the first socket; nothing else happens here until it returns.
        const wait = () => {
          const end = performance.now() + 5000
          while (!early && performance.now() < end) early = existsSync(heard)
        }
        const [first] = io.sockets.sockets.values()
        first?.onAnyOutgoing(wait)
        io.emit('news')
        first?.offAnyOutgoing(wait)
        return early
      },
      heard,
    )
    assert.ok(early)
    for (const { received } of near) await until(() => received.length === 1)
  } finally {
    fs.rmSync(heard, { force: true })
  }
})

test('the primary emits, asks and manages, without an HTTP server', async () => {
  const [a, b] = await Promise.all([servers.connect(0), servers.connect(1, '/', 'polling')])
  for (const { socket } of [a, b]) socket.on('ask', (done) => done(socket.id))
  assert.equal((await io.timeout(1000).emitWithAck('ask')).sort(), [a.socket.id, b.socket.id].sort())
  io.in(a.socket.id as string).socketsJoin('vip')
  io.to('vip').emit('vip', Buffer.from([1]))
  await until(() => a.events.includes('vip'))
  assert.equal(
    (await io.in('vip').fetchSockets()).map(({ id }) => id),
    [a.socket.id],
  )
  assert.equal([...(await io.in('vip').allSockets())], [a.socket.id])
  assert.is(await io.of('/').adapter.serverCount(), 4)
  io.disconnectSockets()
  await until(() => !a.socket.connected && !b.socket.connected)
  assert.is(b.events.includes('vip'), false)
})

test('a worker without an HTTP server emits and asks', async () => {
  const mailer = await Servers.start(hub, 'hubwire', 1, { PORT: 'none' }, 'mailer')
  const client = await servers.connect(1, '/chat')
  client.socket.on('ask', (done) => done('yes'))
  await mailer.run(0, ({ io }) => io.of('/chat').emit('mail', 7) && undefined)
  await until(() => client.received.length === 1)
  assert.equal(await mailer.run(0, ({ io }) => io.of('/chat').timeout(1000).emitWithAck('ask')), ['yes'])
  assert.equal(client.received[0], ['mail', 7])
  await hub.stop(mailer.id(0))
  await until(async () => (await io.of('/').adapter.serverCount()) === 4)
})

test('volatile and compress are in force on other servers, too', async () => {
  const client = await servers.connect(1)
  await servers.run(
    1,
    ({ io, state }, id) => {
      io.sockets.sockets.get(id)?.conn.on('packetCreate', ({ options }) => {
        state.options = { volatile: options?.volatile, compress: options?.compress }
      })
    },
    client.socket.id as string,
  )
  const options = () => servers.run(1, ({ state }) => state.options)
  io.volatile.emit('one')
  await until(() => client.received.length === 1)
  assert.equal(await options(), { volatile: true, compress: true })
  io.compress(false).emit('two')
  await until(() => client.received.length === 2)
  assert.equal(await options(), { volatile: undefined, compress: false })
})

test('a room that others had sockets join, and leave, is held by nobody', async () => {
  const client = await servers.connect(1)
  io.in(client.socket.id as string).socketsJoin('for a while')
  io.to('for a while').emit('in')
  io.in(client.socket.id as string).socketsLeave('for a while')
  await until(() => client.received.length === 1)
  // Whatever that server still had to tell, it has told by now.
  await servers.run(1, ({ hub }) => hub.drained())
  const before = await packets(1)
  io.to('for a while').emit('out')
  io.emit('all')
  await until(() => client.received.length === 2)
  assert.is(await packets(1), before + 1)
})

test('acknowledgements that nobody gave in time are not waited for any more, on any server', async () => {
  await Promise.all([servers.connect(0), servers.connect(1)])
  const failure = servers.run(0, ({ io }) =>
    io
      .timeout(100)
      .emitWithAck('nobody answers')
      .catch(({ message }) => message),
  )
  assert.is(await failure, 'operation has timed out')
  for (const server of [0, 1]) {
    await until(() =>
      servers.run(server, ({ io }) => {
        const owed = [...io.sockets.sockets.values()].map(
          (socket) => (socket as unknown as { acks: Map<number, unknown> }).acks.size,
        )
        return owed.length === 1 && owed[0] === 0
      }),
    )
  }
})

test('a server acknowledges once, and one that does not is waited for no longer than was said, or than 5 seconds', async () => {
  for (const server of [0, 1, 2]) {
    await servers.run(
      server,
      ({ io }, server) => {
        io.on('twice', (done: (value: string) => void) => {
          done(`first ${server}`)
          setTimeout(done, 10, `second ${server}`)
          if (server === 0) done('at once')
        })
      },
      server,
    )
  }
  assert.equal((await io.serverSideEmitWithAck('twice')).sort(), ['first 0', 'first 1', 'first 2'])
  const pid = hub.members.find(({ id }) => id === servers.id(2))?.pid as number
  // Only who has sockets is asked for them.
  await servers.connect(2)
  const { setTimeout } = globalThis
  // What takes five seconds takes none.
  const hasty = (callback: () => void, ms?: number) => setTimeout(callback, ms === 5000 ? 100 : ms)
  const outcomes: unknown[] = []
  process.kill(pid, 'SIGSTOP')
  globalThis.setTimeout = hasty as typeof setTimeout
  try {
    const asked = [io.timeout(200).fetchSockets(), io.fetchSockets(), io.serverSideEmitWithAck('unheard')]
    for (const [i, promise] of asked.entries()) {
      promise.then(
        (value) => {
          outcomes[i] = value
        },
        ({ code, message }: HubError) => {
          outcomes[i] = `${code} ${message}`
        },
      )
    }
    await until(() => [0, 1, 2].every((i) => outcomes[i] !== undefined), 10_000)
    const advice = 'See what keeps their event loops busy.'
    assert.equal(outcomes, [
      `ERR_HUB_TIMEOUT fetchSockets(): 1 server did not answer within 200 ms. ${advice}`,
      `ERR_HUB_TIMEOUT fetchSockets(): 1 server did not answer within 5000 ms. ${advice}`,
      `ERR_HUB_TIMEOUT serverSideEmit(): 3 servers did not answer within 5000 ms. ${advice}`,
    ])
  } finally {
    globalThis.setTimeout = setTimeout
    process.kill(pid, 'SIGCONT')
  }
})

test('when a worker dies, what waits for it settles at once with what there is', async () => {
  const [a, b, c] = await Promise.all([0, 1, 2].map((server) => servers.connect(server)))
  await c?.join('doomed')
  for (const client of [a, b, c]) client?.socket.on('ask', (done) => done(client.socket.id))
  for (const server of [0, 1, 2]) {
    await servers.run(server, ({ io }) => io.on('state', (done: (value: string) => void) => done('well')) && undefined)
  }
  const pid = hub.members.find(({ id }) => id === servers.id(2))?.pid as number
  process.kill(pid, 'SIGSTOP')
  const begun = performance.now()
  let settled = 0
  const note = <T>(promise: Promise<T>) => promise.finally(() => settled++)
  const fetched = note(servers.run(0, async ({ io }) => (await io.fetchSockets()).map(({ id }) => id)))
  const answers = note(servers.run(0, ({ io }) => io.timeout(20_000).emitWithAck('ask')))
  const states = note(servers.run(0, ({ io }) => io.serverSideEmitWithAck('state')))
  // The primary is a server, too, and has nobody who answers for it.
  io.on('state', (done: (value: string) => void) => done('primary'))
  await sleep(200)
  assert.is(settled, 0, 'they wait for the one that does not answer')
  process.kill(pid, 'SIGKILL')
  assert.equal((await fetched).sort(), [a?.socket.id, b?.socket.id].sort())
  assert.equal((await answers).sort(), [a?.socket.id, b?.socket.id].sort())
  assert.equal((await states).sort(), ['primary', 'well'])
  assert.ok(performance.now() - begun < 2500, 'long before any timeout')

  // Its rooms went with it, and it comes back without them.
  assert.equal(await io.in('doomed').fetchSockets(), [])
  await until(async () => (await io.of('/').adapter.serverCount()) === 4)
  await until(() => hub.members.find(({ id }) => id === servers.id(2))?.state === 'ready')
  io.removeAllListeners('state')
  servers.forget()
  const again = await servers.connect(2)
  io.to('doomed').emit('old')
  io.emit('new')
  await until(() => again.received.length > 0)
  assert.equal(again.events, ['new'])
})

test('session ids name the incarnation, in whichever order server and adapter are attached', async () => {
  const late = await Servers.start(hub, 'hubwire', 1, { ORDER: 'server first' }, 'late')
  const addresses: (number | undefined)[] = []
  for (const client of [await servers.connect(0), await servers.connect(0, '/', 'polling'), await late.connect(0)]) {
    addresses.push(addressOf(client.socket.io.engine.id as string))
  }
  assert.type(addresses[0], 'number')
  assert.is(addresses[0], addresses[1])
  assert.type(addresses[2], 'number')
  assert.is.not(addresses[0], addresses[2])
  late.closeClients()
  await hub.stop(late.id(0))
})

test('a parser of its own: packets of servers with and without it arrive', async () => {
  const odd = await Servers.start(hub, 'hubwire', 2, { PARSER: 'backwards' }, 'odd')
  const { parser } = await import('./parsers.js')
  const options = { parser: parser as never }
  const clients = await Promise.all([0, 1].map((server) => odd.connect(server, '/chat', 'websocket', options)))
  for (const { socket } of clients) socket.on('ask', (n, done) => done(n + 1))
  await odd.run(0, ({ io }) => io.of('/chat').emit('odd', { a: [1] }) && undefined)
  io.of('/chat').emit('plain', { b: [2] })
  for (const { received } of clients) {
    await until(() => received.length === 2)
    assert.equal(received.toSorted(), [
      ['odd', { a: [1] }],
      ['plain', { b: [2] }],
    ])
  }
  assert.equal(await odd.run(1, ({ io }) => io.of('/chat').timeout(1000).emitWithAck('ask', 1)), [2, 2])
  odd.closeClients()
  await Promise.all(odd.ids.map((id) => hub.stop(id)))
})

test("one socket's data that cannot travel does not hide the others", async () => {
  const [a, b, c] = await Promise.all([servers.connect(0), servers.connect(0), servers.connect(0)])
  const found = async () => {
    const data = new Map((await io.fetchSockets()).map(({ id, data }) => [id, data]))
    return [a, b, c].map(({ socket }) => data.get(socket.id as string))
  }
  await servers.run(
    0,
    ({ io }, id) => {
      const socket = io.sockets.sockets.get(id)
      if (!socket) return
      socket.data = { at: new Date(0) }
      // express-session puts it there.
      Object.assign(socket.handshake, { sessionStore: { get() {} } })
    },
    a.socket.id as string,
  )
  assert.equal(await found(), [{ at: new Date(0) }, {}, {}])
  await servers.run(
    0,
    ({ io, state }, a, b) => {
      const [one, other] = [a, b].map((id) => io.sockets.sockets.get(id))
      if (!one || !other) return
      one.data = { call: () => {}, name: 'ann' }
      other.data = { call: () => {}, big: 1n }
      process.once('warning', ({ name, message }) => {
        state.warning = `${name}: ${message}`
      })
    },
    a.socket.id as string,
    b.socket.id as string,
  )
  assert.equal(await found(), [{ name: 'ann' }, {}, {}])
  assert.is(
    await servers.run(0, ({ state }) => state.warning),
    `Hubwire: The data of socket "${b.socket.id}" cannot be cloned, and other servers see {} in its place. ` +
      'Keep in socket.data what the structured clone algorithm carries.',
  )
})

test('misuse is refused', () => {
  const misuse = (attempt: () => unknown, words: RegExp) =>
    assert.throws(attempt, (error: unknown) => error instanceof HubError && words.test(error.message))
  misuse(() => attachSocketIo(new Server(), hub), /attached already/)
  misuse(
    () => hub.serve(new Server() as unknown as http.Server),
    /, not .{1,101}\. That is the Socket\.IO server: give/,
  )
  misuse(() => attachSocketIo(new Server(), {} as typeof hub), /startHub\(\) or joinHub\(\)/)
  misuse(() => attachSocketIo({} as Server, hub), /Server of socket.io/)
})

test('a second server of a process is refused in words, also on another path, until the first is closed', async () => {
  const worker = await Servers.start(hub, 'hubwire', 1, {}, 'second')
  const refusals = await worker.run(0, ({ io, attach, state }) => {
    state.other = new (io.constructor as typeof Server)({ path: '/other/' })
    return [state.other, io].map((server) => {
      try {
        attach(server)
        return 'attached'
      } catch (error) {
        return (error as Error).message
      }
    })
  })
  for (const refusal of refusals) assert.match(refusal, /attached already. Use that one, or close it first/)
  const heard = () => worker.run(0, ({ state }) => state.heard as string[])
  await worker.run(0, ({ io, state }) => {
    state.heard = []
    io.on('note', (text: string) => state.heard.push(`first ${text}`))
    state.other.on('note', (text: string) => state.heard.push(`second ${text}`))
  })
  // The refused one has changed nothing for the first.
  io.serverSideEmit('note', 'a')
  await until(async () => (await heard()).length === 1)
  await worker.run(0, async ({ io, attach, state }) => {
    await io.close()
    attach(state.other)
  })
  assert.is(await worker.run(0, ({ state }) => state.other.of('/').adapter.serverCount()), 5)
  io.serverSideEmit('note', 'b')
  await until(async () => (await heard()).length === 2)
  assert.equal(await heard(), ['first a', 'second b'])
  await hub.stop(worker.id(0))
  await until(async () => (await io.of('/').adapter.serverCount()) === 4)
})

test('a broadcast that a slow worker does not take is dropped and counted, and nobody else misses it', async () => {
  const [stuck, well] = await Promise.all([servers.connect(2), servers.connect(1)])
  const id = servers.id(2)
  const link = () => hub.stats().links?.find((one) => one.id === id)
  const others = () =>
    (hub.stats().links ?? []).filter((one) => one.id !== id).map(({ droppedEvents }) => droppedEvents)
  const before = link()?.droppedEvents ?? 0
  await stuck.join('left')
  const pid = hub.members.find((member) => member.id === id)?.pid as number
  process.kill(pid, 'SIGSTOP')
  let sent = 0
  try {
    const text = 'x'.repeat(100_000)
    while ((link()?.droppedEvents ?? 0) === before) {
      assert.ok(sent < 20_000, 'its link never drops anything')
      io.emit('big', sent++, text)
      // Far ahead of what will be dropped first, and not to be dropped itself.
      if (sent === 20) io.in(stuck.socket.id as string).socketsLeave('left')
      await sleep(1)
    }
    assert.ok(link()?.slow, 'it is declared slow')
    // Joins and disconnections are not dropped, however long they wait.
    io.in(stuck.socket.id as string).socketsJoin('late')
    io.emit('big', sent++, text)
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  await until(() => !link()?.slow, 20_000)
  io.to('left').emit('wrong')
  io.to('late').emit('end')
  io.to(well.socket.id as string).emit('end')
  await until(() => stuck.events.includes('end') && well.events.includes('end'), 30_000)
  assert.is(well.received.length, sent + 1, 'the other worker has all of them')
  const dropped = (link()?.droppedEvents ?? 0) - before
  assert.ok(dropped > 0)
  assert.is(stuck.received.length, sent + 1 - dropped, 'what did not arrive is what was counted')
  const numbers = stuck.received.slice(0, -1).map(([, n]) => n as number)
  assert.equal(
    numbers,
    numbers.toSorted((a, b) => a - b),
  )
  assert.ok(others().every((count) => count === 0))
})

test('once the hub is closed, a server goes on alone', async () => {
  await hub.close()
  io.emit('nobody')
  assert.equal(await io.fetchSockets(), [])
  assert.equal(await io.timeout(100).emitWithAck('nobody'), [])
  assert.is(await io.of('/').adapter.serverCount(), 1)
  await io.of('/').adapter.addAll('id', new Set(['r']))
  // It has nobody to stop any more.
  servers = { closeClients() {}, idle: async () => {} } as unknown as Servers
})

test.run()
