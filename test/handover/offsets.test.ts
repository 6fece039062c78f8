import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { test } from 'uvu'
import { memberOf, until } from '../reload/app.js'
import { frame, RawClient } from './raw-client.js'
import { site } from './site.js'

/**
 * What the others send while a session is on its way comes to its client by two ways. Each packet says how far the client
 * is that has got it, and whose connection breaks behind any of them is to get exactly the rest. The workers stop where
 * the test wants them to, in the middle of a turn: what is sent to them meanwhile they read later.
 */
const BODY = `
  const fs = await import('node:fs')
  const flag = (name) => new URL(name, import.meta.url)
  const stop = (name) => {
    fs.writeFileSync(flag(name), '')
    const cell = new Int32Array(new SharedArrayBuffer(4))
    while (!fs.existsSync(flag(name + '.go'))) Atomics.wait(cell, 0, 0, 5)
  }
  function onHandover() {
    if (fs.existsSync(flag('watched'))) {
      fs.rmSync(flag('watched'))
      stop('departing')
      io.emit('last', BYTES)
      // It has left by then.
      queueMicrotask(() => io.emit('own', BYTES))
    }
  }
  io.on('connection', (socket) => {
    tell('connection', socket.id, socket.recovered)
    socket.on('disconnect', (reason) => { if (reason !== 'handover') tell('left', socket.id) })
  })
  hub.handle('say', (name) => void io.emit(name, BYTES))
  hub.on('stand', () => {
    stop('standing')
    io.emit('from the next', BYTES)
  })
`

for (const [what, bytes] of [
  ['texts', 'null'],
  ['binary packets', 'Buffer.alloc(3)'],
] as const) {
  site(
    `whose connection breaks behind any packet that comes during a handover gets exactly the rest: ${what}`,
    {
      body: BODY.replaceAll('BYTES', bytes),
      count: 2,
      options: '{ connectionStateRecovery: {} }',
      attach: '{ onHandover }',
      hub: { handoverTimeout: 30_000, gracePeriod: 60_000 },
    },
    async ({ hub, port, told, app }) => {
      const flag = (name: string) => path.join(path.dirname(app.exec), name)
      const raise = (name: string) => fs.writeFileSync(flag(name), '')
      const stopped = (name: string) => until(() => fs.existsSync(flag(name)), name)
      const say = (id: string, name: string) => hub.to(id).request('say', name)

      const client = new Client(port)
      await client.connect()
      await until(() => told.length > 0, 'told')
      const [home, other] = memberOf(hub, 'web-1').pid === told[0]?.[0] ? ['web-1', 'web-2'] : ['web-2', 'web-1']
      await say(other, 'first')
      await until(() => client.events.length === 1, 'first')

      raise('watched')
      const reload = hub.reload({ ids: [home] })
      await stopped('departing')
      hub.to(home).emit('stand')
      await stopped('standing')
      await say(other, 'before')
      raise('departing.go')
      await until(() => hub.stats().handover?.moved === 1, 'it has moved')
      await say(other, 'since')
      raise('standing.go')
      await reload
      await until(() => client.events.length === 6, 'all has come')
      const names = client.events.map(({ name }) => name)
      // Of what two processes send, either may come first.
      const [own, since] = ['own', 'since'].map((name) => names.indexOf(name)) as [number, number]
      const last = own < since ? ['own', 'since'] : ['since', 'own']
      assert.deepEqual(names, ['first', 'last', 'before', 'from the next', ...last])

      let latest = client
      for (const [i, { offset }] of client.events.entries()) {
        latest.close()
        await until(() => told.filter(([, what]) => what === 'left').length > i, 'it is away')
        latest = new Client(port)
        await latest.connect({ pid: client.pid, offset })
        assert.equal(latest.sid, client.sid, 'it is recovered')
        await say(other, `end ${i}`)
        await until(() => latest.events.some(({ name }) => name === `end ${i}`), 'the end')
        const missed = latest.events.map(({ name }) => name).filter((name) => !name.startsWith('end'))
        const rest = client.events.slice(i + 1).map(({ name }) => name)
        assert.deepEqual(missed.sort(), rest.sort(), `behind ${client.events[i]?.name}`)
      }
      latest.close()
    },
  )
}

/** One that sees what clients of Socket.IO keep to themselves. */
class Client {
  readonly #raw: RawClient
  pid = ''
  sid = ''

  constructor(port: number) {
    this.#raw = new RawClient(port)
  }

  async connect(auth = {}): Promise<void> {
    await until(() => this.#raw.texts.length > 0, 'open')
    this.#raw.send(frame(1, `40${JSON.stringify(auth)}`))
    const answer = () => this.#raw.texts.find((text) => text.startsWith('40{'))
    await until(answer, 'connected')
    Object.assign(this, JSON.parse(answer()?.slice(2) ?? ''))
  }

  get events(): { name: string; offset: string }[] {
    return this.#raw.texts.flatMap((text) => {
      const [, data] = /^4(?:2|51-)(\[.*\])$/.exec(text) ?? []
      const [name, , offset] = data ? JSON.parse(data) : []
      return name ? [{ name, offset }] : []
    })
  }

  close(): void {
    this.#raw.close()
  }
}

test.run()
