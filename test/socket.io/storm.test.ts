import type { PrimaryHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type App, type Client, Servers, startPrimary, until } from './servers.js'

const WORKERS = 3
const CLIENTS = 6
const ROOMS = ['r', 's', 't']
const STEPS = 60
const KILL_EVERY = 20

/** Says which schedule it is: `SEED=… node test/run.mjs storm` plays it again, as far as processes allow. */
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000)

let hub: PrimaryHub<App>
let servers: Servers
const io = new Server()

test.before(async () => {
  hub = await startPrimary({ intensity: { restarts: 100, period: 60_000 }, backoff: { min: 10, max: 50 } })
  servers = await Servers.start(hub, 'hubwire', WORKERS, { OPTIONS: JSON.stringify({ connectionStateRecovery: {} }) })
  attachSocketIo(io, hub)
})
test.after(async () => {
  servers.closeClients()
  await hub.close()
})

/** Numbers from 0 up to, not including, a bound. */
function dice(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

interface Message {
  /** Who sent it, and the how manieth of that one's it is. */
  readonly lane: string
  readonly n: number
  /** Undefined: to everybody. */
  readonly room: string | undefined
  /** Its sender died before it said that it had sent it. */
  doubtful: boolean
}

test(`clients that are thrown about, from worker to worker that die, see each message once and in order: ${SEED}`, async () => {
  const roll = dice(SEED)
  const clients: { client: Client; server: number; rooms: string[] }[] = []
  for (let i = 0; i < CLIENTS; i++) {
    const server = i % WORKERS
    const client = await servers.connect(server)
    const rooms = ROOMS.filter((_, r) => (i + 1) & (1 << r))
    await client.join(rooms)
    clients.push({ client, server, rooms })
  }
  const messages: Message[] = []
  const counts = new Map<string, number>()
  let sending = true

  /** One sender, as fast as it is answered, with names anew for each process of a seat. */
  const lane = async (name: string, send: (list: [string, number, string | null][]) => unknown, seed: number) => {
    const roll = dice(seed)
    for (let life = 0; sending; life++) {
      const lane = `${name}/${life}`
      for (let alive = true; alive && sending; ) {
        const burst: Message[] = []
        for (let left = roll(8) + 1; left > 0; left--) {
          const n = counts.get(lane) ?? 0
          counts.set(lane, n + 1)
          burst.push({ lane, n, room: [undefined, ...ROOMS, 'empty'][roll(5)], doubtful: false })
        }
        messages.push(...burst)
        try {
          await send(burst.map(({ lane, n, room }) => [lane, n, room ?? null]))
        } catch {
          for (const message of burst) message.doubtful = true
          alive = false
        }
        await new Promise((resolve) => setTimeout(resolve, roll(6)))
      }
    }
  }
  const lanes = [0, 1, 2].map((server) =>
    lane(
      `w${server}`,
      (list) =>
        servers.run(
          server,
          ({ io }, list) => {
            for (const [lane, n, room] of list) {
              if (room === null) io.emit('m', lane, n)
              else io.to(room).emit('m', lane, n)
            }
          },
          list,
        ),
      SEED + server,
    ),
  )
  const fromHere = (list: [string, number, string | null][]) => {
    for (const [lane, n, room] of list) io.to(room === null ? [] : room).emit('m', lane, n)
  }
  lanes.push(lane('primary', fromHere, SEED + WORKERS))
  // Everybody has something to go on from.
  await until(() => clients.every(({ client }) => client.received.length > 0))

  const failed: string[] = []
  const back = async (one: (typeof clients)[number], how: string) => {
    one.server = roll(WORKERS)
    await servers.reconnect(one.client, one.server)
    if (!one.client.socket.recovered) failed.push(how)
  }
  for (let step = 1; step <= STEPS; step++) {
    if (step % KILL_EVERY !== 0) {
      const one = clients[roll(CLIENTS)] as (typeof clients)[number]
      await servers.cut(one.client, one.server)
      await back(one, `cut at step ${step}`)
      continue
    }
    const server = roll(WORKERS)
    const was = hub.members.find(({ id }) => id === servers.id(server))
    process.kill(was?.pid as number, 'SIGKILL')
    await until(() => hub.members.some(({ id, pid, state }) => id === was?.id && pid !== was?.pid && state === 'ready'))
    servers.forget()
    for (const one of clients.filter((one) => one.server === server)) {
      await until(() => !one.client.socket.connected)
      await back(one, `killed at step ${step}`)
    }
  }
  sending = false
  await Promise.all(lanes)
  assert.equal(failed, [])

  const nameOf = ([, lane, n]: unknown[]) => `${lane} ${n}`
  for (const { client, rooms } of clients) {
    const due = messages.filter(({ room }) => room === undefined || rooms.includes(room))
    const must = due.filter(({ doubtful }) => !doubtful).map(({ lane, n }) => `${lane} ${n}`)
    const missing = () => {
      const seen = new Set(client.received.map(nameOf))
      return must.filter((name) => !seen.has(name))
    }
    await until(() => missing().length === 0).catch(() => {})
    assert.equal(missing(), [])
    const seen = client.received.map(nameOf)
    assert.is(new Set(seen).size, seen.length, 'seen twice')
    const allowed = new Set(due.map(({ lane, n }) => `${lane} ${n}`))
    assert.equal(
      seen.filter((name) => !allowed.has(name)),
      [],
    )
    const last = new Map<unknown, number>()
    for (const [, lane, n] of client.received as [string, string, number][]) {
      assert.ok(n > (last.get(lane) ?? -1), `${lane} ${n} came after ${last.get(lane)}`)
      last.set(lane, n)
    }
  }
  assert.is(hub.stats().recovery?.refused, 0)
  assert.ok((hub.stats().recovery?.replayed ?? 0) > 0)
  if (process.env.SHOW) console.log(messages.length, hub.stats().recovery)
})

test.run()
