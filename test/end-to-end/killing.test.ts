// A web worker is killed while clients of all kinds talk: it costs its own clients their connections, and nobody else.
import { setTimeout as sleep } from 'node:timers/promises'
import type { PrimaryHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { io as open, type Socket } from 'socket.io-client'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { fetch, withSite } from '../http/harness.js'
import { pidOf, until } from './conditions.js'
import type { Chat } from './workers/chat.js'

const exec = new URL('./workers/chat.js', import.meta.url)
const WEB = ['web-1', 'web-2', 'web-3']
const TRANSPORTS = { websocket: ['websocket'], polling: ['polling'], upgrading: ['polling', 'websocket'] }
/** How soon a living worker must answer for a dead one, on a busy machine; no timeout of ours or of Socket.IO's is so short. */
const PROMPT = 4000

/** A client that enters its rooms again whenever it is back, as apps do. */
class Client {
  readonly socket: Socket
  /** Why it was disconnected, each time. */
  readonly lost: string[] = []
  /** The engine.io sessions that it has had. */
  readonly sessions: string[] = []
  readonly heard = new Map<string, unknown[]>()
  /** The worker that it is connected to; '' until it has told, and while it is away. */
  home = ''

  constructor(port: number, transports: string[], rooms: readonly string[]) {
    this.socket = open(`http://127.0.0.1:${port}`, { forceNew: true, reconnectionDelay: 20, transports })
    this.socket.onAny((event: string, value: unknown) => {
      const values = this.heard.get(event)
      if (values) values.push(value)
      else this.heard.set(event, [value])
    })
    this.socket.on('disconnect', (reason) => {
      this.home = ''
      this.lost.push(reason)
    })
    this.socket.on('connect', async () => {
      this.sessions.push(this.socket.io.engine.id as string)
      for (const room of rooms) await this.socket.emitWithAck('enter', room)
      this.socket.emit('where', (home: string) => {
        this.home = home
      })
    })
    this.socket.on('ask', (answer) => answer(this.socket.id))
  }
}

/** What keeps this process alive, sorted. Outside of timers: one that runs counts as active. */
async function resources(): Promise<string[]> {
  await new Promise((resolve) => setImmediate(resolve))
  return process.getActiveResourcesInfo().sort()
}

for (const transport of ['websocket', 'polling', 'upgrading'] as const) {
  test(`a killed worker costs only its own clients, who are back at once: ${transport}`, async () => {
    const before = await resources()
    const workers = [
      { role: 'web', count: 3, exec },
      { id: 'mailer', exec },
    ]
    await withSite(workers, { role: 'web' }, async (site) => {
      const hub = site.hub as unknown as PrimaryHub<Chat>
      const { port } = site
      const io = attachSocketIo(new Server(), hub)
      const clients: Client[] = []
      const at = (id: string) => clients.filter(({ home }) => home === id)
      const sockets = async () => (await io.fetchSockets()).map(({ id }) => id).sort()
      const present = () => clients.map(({ socket }) => socket.id).sort()
      try {
        for (let n = 0; n < 18; n++) clients.push(new Client(port, TRANSPORTS[transport], ['all', `odd-${n % 2}`]))
        await until(() => clients.every(({ home }) => home !== ''), 'all connect')
        for (const id of WEB) assert.ok(at(id).length >= 2, `${id} has clients`)
        const last = transport === 'polling' ? 'polling' : 'websocket'
        await until(() => clients.every(({ socket }) => socket.io.engine.transport.name === last), 'they upgrade')
        assert.is(await io.of('/').adapter.serverCount(), 5)

        // From now on all talk without a pause, to rooms and to all.
        let talking = true
        let ticks = 0
        const talk = (async () => {
          for (; talking; ticks++) {
            io.emit('tick', ticks)
            io.to('odd-1').emit('odd', ticks)
            for (const { socket } of clients) if (socket.connected) socket.emit('say', 'all', ticks)
            await sleep(5)
          }
        })()
        const heardOf = (event: string) => clients.every(({ heard }) => (heard.get(event)?.length ?? 0) > 5)
        await until(() => heardOf('tick') && heardOf('said'), 'all hear each other')

        const doomed = at('web-1')
        const others = clients.filter((client) => !doomed.includes(client))
        const left = new Promise<number>((resolve) => {
          hub.lifecycle.once('leave', async () => resolve(await io.of('/').adapter.serverCount()))
        })
        const pid = pidOf(hub as unknown as PrimaryHub, 'web-1')
        const sids = doomed.map(({ sessions }) => sessions[0])
        process.kill(pid, 'SIGKILL')

        // It is not counted any more as soon as it is known to be gone.
        assert.is(await left, 4)
        // A session of its gets an answer from whoever lives, at once.
        await Promise.all(
          sids.map(async (sid) => {
            const begun = performance.now()
            const { status, body } = await fetch(port, `/socket.io/?EIO=4&transport=polling&sid=${sid}`)
            assert.is(status, 400)
            assert.equal(JSON.parse(body), { code: 1, message: 'Session ID unknown' })
            assert.ok(performance.now() - begun < PROMPT, 'the answer took its time')
          }),
        )
        await until(() => doomed.every(({ lost, home }) => lost.length === 1 && home !== ''), 'all are back')
        for (const { lost, sessions } of doomed) {
          assert.match(lost[0] as string, /^transport (close|error)$/)
          assert.is(sessions.length, 2)
        }
        for (const { lost, sessions } of others) assert.equal([lost, sessions.length], [[], 1])

        // Everybody agrees about who is there.
        await until(() => hub.members.every(({ state }) => state === 'ready'), 'its seat is taken again')
        await until(async () => (await io.of('/').adapter.serverCount()) === 5, 'it is a server again')
        await until(async () => String(await sockets()) === String(present()), 'all sockets are found, and no others')
        for (const id of [...WEB, 'mailer']) {
          assert.is((await hub.to(id).request('count')).all, clients.length, id)
          assert.is((await hub.to(id).request('count', 'odd-1')).all, clients.length / 2, id)
        }
        talking = false
        await talk
        // Those who were never away missed nothing, and got nothing twice.
        const all = Array.from({ length: ticks }, (_, n) => n)
        await until(() => others.every(({ heard }) => heard.get('tick')?.at(-1) === ticks - 1), 'the last one arrives')
        for (const { heard } of others) assert.equal(heard.get('tick'), all)

        // The seat serves again: with fewest connections, it gets the next ones.
        const fresh = new Client(port, TRANSPORTS[transport], ['all', 'odd-0'])
        clients.push(fresh)
        await until(() => fresh.home !== '', 'a new client connects')
        assert.is(fresh.home, 'web-1')
        assert.ok(pidOf(hub as unknown as PrimaryHub, 'web-1') !== pid)

        // And what anybody sends reaches them all.
        for (const id of [...WEB, 'mailer']) {
          await hub.to(id).request('emit', { args: ['after', id] })
          await hub.to(id).request('emit', { room: 'all', args: ['after', id] })
        }
        await until(
          () => clients.every(({ heard }) => heard.get('after')?.length === 8),
          'each worker reaches every client, directly and by room',
        )
        const answers = await io.timeout(20_000).emitWithAck('ask')
        assert.equal([...answers].sort(), present())
      } finally {
        for (const { socket } of clients) socket.disconnect()
      }
      await until(async () => (await io.fetchSockets()).length === 0, 'all sockets are gone')
    })
    // Connections of clients close a moment later; nothing of the hub's may be left.
    await until(async () => String(await resources()) === String(before), 'nothing keeps this process alive').catch(
      async () => assert.equal(await resources(), before),
    )
  })
}

test.run()
