import * as assert from 'uvu/assert'
import { type AdapterName, type Servers, sleep, until } from './servers.js'

/** What an adapter of several servers must do, as seen by their clients and their code. */
export interface Case {
  name: string
  /** Whose servers do otherwise, and it is known. The documentation says so, too. */
  fails?: readonly AdapterName[]
  run(servers: Servers, nsp: string): Promise<void>
}

/** Long enough for what must not come. */
const quiet = () => sleep(60)

export const CASES: Case[] = [
  {
    name: 'broadcast to everybody, from any server',
    async run(servers, nsp) {
      const clients = await Promise.all([0, 1, 2].map((server) => servers.connect(server, nsp)))
      await servers.run(1, ({ io }, nsp) => io.of(nsp).emit('hello', { to: ['all'], of: null }) && undefined, nsp)
      for (const { received } of clients) {
        await until(() => received.length === 1)
        assert.equal(received, [['hello', { to: ['all'], of: null }]])
      }
    },
  },
  {
    name: 'rooms, each client once however many of the rooms it is in',
    async run(servers, nsp) {
      const [a, b, c] = await Promise.all([0, 1, 2].map((server) => servers.connect(server, nsp)))
      await Promise.all([a?.join(['r1', 'r2']), b?.join('r2'), c?.join('r3')])
      await servers.run(2, ({ io }, nsp) => io.of(nsp).to(['r1', 'r2']).emit('hello') && undefined, nsp)
      await until(() => a?.received.length === 1 && b?.received.length === 1)
      await quiet()
      assert.equal(
        [a, b, c].map((client) => client?.received.length),
        [1, 1, 0],
      )
    },
  },
  {
    name: 'a socket by its id, and everybody but the sender',
    async run(servers, nsp) {
      const [a, b, c] = await Promise.all([0, 1, 1].map((server) => servers.connect(server, nsp)))
      const id = a?.socket.id as string
      await servers.run(1, ({ io }, nsp, id) => io.of(nsp).to(id).emit('you') && undefined, nsp, id)
      await servers.run(
        0,
        ({ io }, nsp, id) => io.of(nsp).sockets.get(id)?.broadcast.emit('others') && undefined,
        nsp,
        id,
      )
      await until(() => a?.received.length === 1 && b?.received.length === 1 && c?.received.length === 1)
      await quiet()
      assert.equal(
        [a, b, c].map((client) => client?.events),
        [['you'], ['others'], ['others']],
      )
    },
  },
  {
    name: 'except',
    async run(servers, nsp) {
      const [a, b, c] = await Promise.all([0, 1, 2].map((server) => servers.connect(server, nsp)))
      await Promise.all([a?.join(['r', 'not']), b?.join('r'), c?.join('not')])
      await servers.run(2, ({ io }, nsp) => io.of(nsp).except('not').emit('one') && undefined, nsp)
      await servers.run(2, ({ io }, nsp) => io.of(nsp).to('r').except('not').emit('two') && undefined, nsp)
      await until(() => b?.received.length === 2)
      await quiet()
      assert.equal(
        [a, b, c].map((client) => client?.events),
        [[], ['one', 'two'], []],
      )
    },
  },
  {
    name: 'local',
    async run(servers, nsp) {
      const [a, b] = await Promise.all([0, 1].map((server) => servers.connect(server, nsp)))
      await servers.run(0, ({ io }, nsp) => io.of(nsp).local.emit('here') && undefined, nsp)
      await until(() => a?.received.length === 1)
      await quiet()
      assert.is(b?.received.length, servers.ids.length === 1 ? 1 : 0)
    },
  },
  {
    name: 'volatile and compress',
    async run(servers, nsp) {
      const [a, b] = await Promise.all([0, 1].map((server) => servers.connect(server, nsp)))
      await servers.run(0, ({ io }, nsp) => io.of(nsp).compress(false).emit('one', 'x'.repeat(3000)) && undefined, nsp)
      await until(() => a?.received.length === 1 && b?.received.length === 1)
      await servers.run(0, ({ io }, nsp) => io.of(nsp).volatile.emit('two') && undefined, nsp)
      await until(() => a?.received.length === 2 && b?.received.length === 2)
    },
  },
  {
    name: 'binary, anywhere in the arguments',
    async run(servers, nsp) {
      const clients = await Promise.all(
        [0, 1].map((server) => servers.connect(server, nsp, server ? 'polling' : 'websocket')),
      )
      await servers.run(
        0,
        ({ io }, nsp) =>
          io.of(nsp).emit('bytes', { deep: [Buffer.from([1, 2, 255])] }, new Uint8Array([7]), 'text') && undefined,
        nsp,
      )
      for (const { received } of clients) {
        await until(() => received.length === 1)
        const [, deep, flat, text] = received[0] as [string, { deep: [Buffer] }, Buffer, string]
        assert.equal([...deep.deep[0]], [1, 2, 255])
        assert.equal([...flat], [7])
        assert.is(text, 'text')
      }
    },
  },
  {
    name: 'values become what JSON makes of them, on every server',
    async run(servers, nsp) {
      const clients = await Promise.all([0, 1].map((server) => servers.connect(server, nsp)))
      await servers.run(
        0,
        ({ io }, nsp) => {
          class Id {
            toJSON() {
              return 'id-7'
            }
          }
          io.of(nsp).emit('v', { at: new Date(0), id: new Id(), none: undefined, not: Number.NaN, f: () => {} })
        },
        nsp,
      )
      for (const { received } of clients) {
        await until(() => received.length === 1)
        assert.equal(received[0]?.[1], { at: '1970-01-01T00:00:00.000Z', id: 'id-7', not: null })
      }
    },
    fails: ['cluster'],
  },
  {
    name: 'the order of emit, leave and acknowledgement is that of the code',
    async run(servers, nsp) {
      const client = await servers.connect(0, nsp)
      await client.join('r')
      const acknowledged = await servers.run(
        0,
        ({ io }, nsp, id) => {
          const socket = io.of(nsp).sockets.get(id)
          if (!socket) throw new Error('no socket')
          io.of(nsp).to('r').emit('room A')
          socket.leave('r')
          socket.emit('direct B')
          return true
        },
        nsp,
        client.socket.id as string,
      )
      assert.ok(acknowledged)
      await until(() => client.received.length >= 1)
      await quiet()
      assert.equal(client.events, ['room A', 'direct B'])
    },
    fails: ['cluster'],
  },
  {
    name: 'what is emitted before a disconnect arrives',
    async run(servers, nsp) {
      const client = await servers.connect(0, nsp)
      const gone = new Promise((resolve) => client.socket.once('disconnect', resolve))
      await servers.run(
        0,
        ({ io }, nsp, id) => {
          io.of(nsp).to(id).emit('last')
          io.of(nsp).sockets.get(id)?.disconnect()
        },
        nsp,
        client.socket.id as string,
      )
      await gone
      assert.equal(client.events, ['last'])
    },
    fails: ['cluster'],
  },
  {
    name: 'order from one server to a client of another',
    async run(servers, nsp) {
      const client = await servers.connect(1, nsp)
      await client.join('r')
      await servers.run(
        0,
        ({ io }, nsp) => {
          for (let i = 0; i < 500; i++) {
            if (i % 3 === 0) io.of(nsp).emit('n', i)
            else if (i % 3 === 1) io.of(nsp).to('r').emit('n', i)
            else io.of(nsp).to(['r', 's']).emit('n', i, Buffer.from('x'))
          }
        },
        nsp,
      )
      await until(() => client.received.length === 500)
      assert.equal(
        client.received.map(([, n]) => n),
        Array.from({ length: 500 }, (_, i) => i),
      )
    },
  },
  {
    name: 'acknowledgements of all clients',
    async run(servers, nsp) {
      const clients = await Promise.all([0, 1, 1, 2].map((server) => servers.connect(server, nsp)))
      clients.forEach(({ socket }, i) => {
        socket.on('ask', (n: number, done: (answer: unknown) => void) => done(i === 3 ? Buffer.from([99]) : n + i))
      })
      const answers = await servers.run(0, ({ io }, nsp) => io.of(nsp).timeout(2000).emitWithAck('ask', 10), nsp)
      assert.equal(
        answers.map((answer: unknown) => (typeof answer === 'number' ? answer : [...(answer as Uint8Array)])).sort(),
        [10, 11, 12, [99]].sort(),
      )
    },
  },
  {
    name: 'acknowledgements of a room that one server holds, at once',
    async run(servers, nsp) {
      const client = await servers.connect(1, nsp)
      await client.join('r')
      client.socket.on('ask', (done) => done('yes'))
      const begun = performance.now()
      const ask = (from: number, room: string) =>
        servers.run(from, ({ io }, nsp, room) => io.of(nsp).to(room).timeout(3000).emitWithAck('ask'), nsp, room)
      assert.equal(await Promise.all([ask(0, 'r'), ask(1, 'r'), ask(2, 'r'), ask(0, 'nobody')]), [
        ['yes'],
        ['yes'],
        ['yes'],
        [],
      ])
      assert.ok(performance.now() - begun < 2000)
    },
  },
  {
    name: 'a client that does not answer: an error, and the answers of the others',
    async run(servers, nsp) {
      const [a] = await Promise.all([servers.connect(0, nsp), servers.connect(1, nsp)])
      a?.socket.on('ask', (done) => done('yes'))
      const result = await servers.run(
        0,
        ({ io }, nsp) =>
          io
            .of(nsp)
            .timeout(200)
            .emitWithAck('ask')
            .then(
              () => 'answered',
              (error: Error & { responses: unknown[] }) => [error.message, error.responses],
            ),
        nsp,
      )
      assert.equal(result, ['operation has timed out', ['yes']])
    },
  },
  {
    name: 'clients that go without an answer are not waited for',
    async run(servers, nsp) {
      const [a, b, c] = await Promise.all([0, 1, 0].map((server) => servers.connect(server, nsp)))
      a?.socket.on('ask', (done) => done('yes'))
      b?.socket.on('ask', () => b.socket.disconnect())
      c?.socket.on('ask', () => c.socket.disconnect())
      const answers = await servers.run(
        0,
        ({ io }, nsp) =>
          io
            .of(nsp)
            .timeout(1000)
            .emitWithAck('ask')
            .catch((error: Error) => error.message),
        nsp,
      )
      assert.equal(answers, ['yes'])
    },
    fails: ['memory', 'cluster'],
  },
  {
    name: 'local acknowledgements',
    async run(servers, nsp) {
      const clients = await Promise.all([0, 1].map((server) => servers.connect(server, nsp)))
      for (const { socket } of clients) socket.on('ask', (done) => done('yes'))
      const answers = await servers.run(
        0,
        ({ io }, nsp) =>
          io
            .of(nsp)
            .local.timeout(500)
            .emitWithAck('ask')
            .catch((error: Error) => error.message),
        nsp,
      )
      assert.equal(answers, servers.ids.length === 1 ? ['yes', 'yes'] : ['yes'])
    },
    fails: ['cluster'],
  },
  {
    name: 'fetchSockets, with id, rooms, data and handshake',
    async run(servers, nsp) {
      const [a, b] = await Promise.all(
        [0, 1].map((server) => servers.connect(server, nsp, 'websocket', { auth: { n: server } })),
      )
      await Promise.all([a?.join('r'), b?.join(['r', 's'])])
      await b?.socket.emitWithAck('data', { user: 'ann' })
      const found = await servers.run(
        0,
        async ({ io }, nsp) => {
          const sockets = await io.of(nsp).in('r').fetchSockets()
          return sockets.map(({ id, rooms, data, handshake }) => ({
            id,
            rooms: [...rooms].sort(),
            data,
            auth: handshake.auth,
            agent: 'headers' in handshake,
          }))
        },
        nsp,
      )
      const expected = [
        { id: a?.socket.id, rooms: ['r', a?.socket.id].sort(), data: {}, auth: { n: 0 }, agent: true },
        {
          id: b?.socket.id,
          rooms: ['r', 's', b?.socket.id].sort(),
          data: { user: 'ann' },
          auth: { n: 1 },
          agent: true,
        },
      ]
      const byId = (one: { id?: string | undefined }, other: { id?: string | undefined }) =>
        String(one.id) < String(other.id) ? -1 : 1
      assert.equal(found.sort(byId), expected.sort(byId))
    },
  },
  {
    name: 'remote sockets: emit, acknowledgement, join, leave, disconnect',
    async run(servers, nsp) {
      const client = await servers.connect(1, nsp)
      client.socket.on('ask', (done) => done('yes'))
      const answer = await servers.run(
        0,
        async ({ io }, nsp, id) => {
          const [socket] = await io.of(nsp).in(id).fetchSockets()
          socket?.emit('hello')
          socket?.join('r')
          io.of(nsp).to('r').emit('in')
          socket?.leave('r')
          io.of(nsp).to('r').emit('out')
          return socket?.timeout(1000).emitWithAck('ask')
        },
        nsp,
        client.socket.id as string,
      )
      assert.is(answer, 'yes')
      assert.equal(client.events, ['hello', 'in', 'ask'])
      const gone = new Promise((resolve) => client.socket.once('disconnect', resolve))
      await servers.run(0, ({ io }, nsp, id) => io.of(nsp).in(id).disconnectSockets(), nsp, client.socket.id as string)
      assert.is(await gone, 'io server disconnect')
    },
  },
  {
    name: 'socketsJoin is in force for the emit after it, on all servers',
    async run(servers, nsp) {
      const clients = await Promise.all([0, 1, 2].map((server) => servers.connect(server, nsp)))
      await servers.run(
        0,
        ({ io }, nsp) => {
          io.of(nsp).socketsJoin(['new', 'other'])
          io.of(nsp).in('new').socketsJoin('newer')
          io.of(nsp).to('newer').emit('in')
          io.of(nsp).socketsLeave('newer')
          io.of(nsp).to('newer').emit('out')
        },
        nsp,
      )
      await Promise.all(clients.map(({ received }) => until(() => received.length >= 1)))
      await quiet()
      assert.equal(
        clients.map(({ events }) => events),
        [['in'], ['in'], ['in']],
      )
    },
  },
  {
    name: 'disconnectSockets of a room',
    async run(servers, nsp) {
      const [a, b, c] = await Promise.all([0, 1, 2].map((server) => servers.connect(server, nsp)))
      await Promise.all([a?.join('out'), b?.join('out')])
      await servers.run(2, ({ io }, nsp) => io.of(nsp).in('out').disconnectSockets(true), nsp)
      await until(() => !a?.socket.connected && !b?.socket.connected)
      assert.ok(c?.socket.connected)
    },
  },
  {
    name: 'serverSideEmit reaches the other servers',
    async run(servers, nsp) {
      for (const server of [0, 1, 2]) {
        await servers.run(
          server,
          ({ io, state }, nsp) => {
            state.heard = []
            io.of(nsp).removeAllListeners('news')
            io.of(nsp).on('news', (...args: unknown[]) => state.heard.push(args))
          },
          nsp,
        )
      }
      await servers.run(0, ({ io }, nsp) => io.of(nsp).serverSideEmit('news', 1, { a: ['b'] }) && undefined, nsp)
      const heard = (server: number) => servers.run(server, ({ state }) => state.heard)
      await until(async () => (await heard(1)).length === 1 && (await heard(2)).length === 1, 500)
      assert.equal(await heard(1), [[1, { a: ['b'] }]])
      assert.equal(await heard(0), [])
    },
    fails: ['memory'],
  },
  {
    name: 'serverSideEmit with acknowledgements',
    async run(servers, nsp) {
      for (const server of [0, 1, 2]) {
        await servers.run(
          server,
          ({ io }, nsp, server) => {
            io.of(nsp).removeAllListeners('ask')
            io.of(nsp).on('ask', (n: number, done: (value: unknown) => void) => done(n * server))
          },
          nsp,
          server,
        )
      }
      const ask = servers.run(0, ({ io }, nsp) => io.of(nsp).serverSideEmitWithAck('ask', 10), nsp)
      const answers = await Promise.race([ask, sleep(1000).then(() => ['no answer'])])
      assert.equal(answers.sort(), [10, 20])
    },
    fails: ['memory'],
  },
  {
    name: 'serverCount',
    async run(servers, nsp) {
      assert.is(await servers.run(0, ({ io }, nsp) => io.of(nsp).adapter.serverCount(), nsp), servers.ids.length)
    },
  },
  {
    name: 'onAnyOutgoing sees what other servers send',
    async run(servers, nsp) {
      const client = await servers.connect(1, nsp)
      await servers.run(
        1,
        ({ io, state }, nsp, id) => {
          state.outgoing = []
          io.of(nsp)
            .sockets.get(id)
            ?.onAnyOutgoing((...args: unknown[]) => state.outgoing.push(args))
        },
        nsp,
        client.socket.id as string,
      )
      await servers.run(0, ({ io }, nsp) => io.of(nsp).emit('hello', [1], { two: '2' }) && undefined, nsp)
      await until(() => client.received.length === 1)
      assert.equal(await servers.run(1, ({ state }) => state.outgoing), [['hello', [1], { two: '2' }]])
    },
  },
  {
    name: 'odd names: rooms with any characters, and of any length',
    async run(servers, nsp) {
      const client = await servers.connect(1, nsp)
      const rooms = ['', '__proto__', 'ü,"\u0000\ud800', 'x'.repeat(70_000), '[]']
      await client.join(rooms)
      for (const room of rooms) {
        await servers.run(0, ({ io }, nsp, room) => io.of(nsp).to(room).emit('hello') && undefined, nsp, room)
      }
      await until(() => client.received.length === rooms.length)
    },
  },
  {
    name: 'a room by number is another than the one by its digits',
    async run(servers, nsp) {
      const [a, b] = await Promise.all([0, 1].map((server) => servers.connect(server, nsp)))
      await Promise.all([a?.join('42'), b?.socket.emitWithAck('join', 42)])
      await servers.run(
        0,
        ({ io }, nsp) =>
          io
            .of(nsp)
            .to(42 as unknown as string)
            .emit('number') && undefined,
        nsp,
      )
      await servers.run(0, ({ io }, nsp) => io.of(nsp).to('42').emit('text') && undefined, nsp)
      await until(() => a?.received.length === 1 && b?.received.length === 1)
      assert.equal([a?.events, b?.events], [['text'], ['number']])
    },
  },
]
