import assert from 'node:assert/strict'
import { test } from 'uvu'
import { until } from '../reload/app.js'
import { Client, site, VERSIONS } from './plain-ws-site.js'

/** Echoes counters and looks at their order; passes on ticks, each client being sent what it has not seen. */
const LOAD = `
  const clients = new Map()
  const ticks = []
  const show = (ws, n) => { clients.get(ws).seen = n; ws.send('tick ' + n) }
  hub.on('tick', (n) => {
    ticks.push(n)
    for (const ws of wss.clients) show(ws, n)
  })
  wss.on('connection', (ws) => {
    const state = handoverOf(ws)?.state ?? { up: -1, seen: ticks.at(-1) ?? -1 }
    clients.set(ws, state)
    for (const n of ticks) if (n > state.seen) show(ws, n)
    ws.on('message', (data, binary) => {
      const n = binary ? data.readUInt32BE() : Number(data)
      if (n !== ++state.up) tell('gap', state.up, n)
      ws.send(data, { binary })
    })
    ws.on('close', (code) => tell('closed', code))
  })`

class Counter extends Client {
  #sent = 0
  #timer: NodeJS.Timeout | undefined

  count(): void {
    this.#timer = setInterval(() => {
      const n = this.#sent++
      if (n % 3 > 0) return this.socket.send(String(n))
      const bytes = Buffer.alloc(4 + (n % 300))
      bytes.writeUInt32BE(n)
      this.socket.send(bytes)
    }, 8)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** What it got back, as numbers. */
  get echoes(): number[] {
    return this.got.flatMap((one) =>
      one.startsWith('tick') ? [] : [one.startsWith('binary') ? Number.parseInt(one.slice(7, 15), 16) : Number(one)],
    )
  }

  get ticks(): number[] {
    return this.got.flatMap((one) => (one.startsWith('tick') ? [Number(one.slice(5))] : []))
  }

  get sent(): number {
    return this.#sent
  }
}

const sequence = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)

for (const ws of VERSIONS) {
  site(
    `each message arrives once and in order, both ways, over reloads and a role that shrinks: ${ws}`,
    { body: LOAD, count: 2, ws, serve: '{ webSockets: wss, onHandover: (ws) => clients.get(ws) }' },
    async ({ hub, port, told }) => {
      const clients = await Promise.all(Array.from({ length: 30 }, () => new Counter(port).open()))
      let tick = 0
      const ticking = setInterval(() => hub.to({ role: 'web' }).emit('tick', tick++), 5)
      for (const client of clients) client.count()
      try {
        for (let i = 0; i < 3; i++) await hub.reload()
        await hub.scale('web', 1)
      } finally {
        clearInterval(ticking)
        for (const client of clients) client.stop()
      }
      const complete = ({ echoes, ticks, sent, end }: Counter) =>
        end !== undefined || (echoes.length >= sent && ticks.at(-1) === tick - 1)
      await until(() => clients.every(complete), 'all have got all').catch(() => {})
      for (const { end, echoes, ticks, sent } of clients) {
        assert.equal(end, undefined)
        assert.ok(sent > 20)
        assert.deepEqual(echoes, sequence(0, sent))
        assert.deepEqual(ticks, sequence(ticks[0] ?? 0, tick - (ticks[0] ?? 0)))
      }
      assert.deepEqual(told, [])
      const { moved, left } = hub.stats().handover ?? {}
      assert.ok(moved !== undefined && moved >= 3 * clients.length, String(moved))
      assert.equal(left, 0)
      for (const { socket } of clients) socket.terminate()
    },
  )
}

test.run()
