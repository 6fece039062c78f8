import assert from 'node:assert/strict'
import { test } from 'uvu'
import { Random } from '../fuzz/random.js'
import { until } from '../reload/app.js'
import { frame, RawClient } from './raw-client.js'
import { site } from './site.js'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))

const ECHO = `
  io.on('connection', (socket) => {
    socket.onAny((event, ...args) => {
      const done = typeof args.at(-1) === 'function' ? args.pop() : undefined
      if (event === 'fill') { for (let i = 0; i < 60; i++) socket.emit('filling', 'x'.repeat(200_000)) ; return }
      socket.emit('got', event, ...args)
      done?.(event)
    })
    socket.on('disconnect', (reason) => { if (reason !== 'handover') tell('left', reason) })
  })`

/** A text message, in one frame or several, perhaps with signs of life between these. */
function message(random: Random, opcode: number, payload: Buffer): Buffer {
  const mask = () => Buffer.from([0, 0, 0, 0].map(() => random.below(256)))
  const pieces = 1 + random.below(4)
  const frames: Buffer[] = []
  let at = 0
  for (let i = 0; i < pieces; i++) {
    const end = i + 1 === pieces ? payload.length : at + random.below(payload.length - at + 1)
    frames.push(frame(i === 0 ? opcode : 0, payload.subarray(at, end), { fin: i + 1 === pieces, mask: mask() }))
    if (i + 1 < pieces && random.below(3) === 0) frames.push(frame(9, `p${i}`, { mask: mask() }))
    at = end
  }
  return Buffer.concat(frames)
}

/** What a client sends, and the packets that it is to get. */
function script(random: Random): { bytes: Buffer; expected: string[] } {
  const bytes: Buffer[] = []
  const expected: string[] = []
  for (let n = 0; n < 5; n++) {
    const kind = random.below(3)
    if (kind === 0) {
      const padding = 'y'.repeat(random.below(3) === 0 ? 130 : random.below(20))
      bytes.push(message(random, 1, Buffer.from(`42["e${n}","${padding}"]`)))
      expected.push(`42["got","e${n}","${padding}"]`)
    } else if (kind === 1) {
      bytes.push(message(random, 1, Buffer.from(`42${n}["a${n}",${n}]`)))
      expected.push(`42["got","a${n}",${n}]`, `43${n}["a${n}"]`)
    } else {
      const attachments = 1 + random.below(3)
      const places = Array.from({ length: attachments }, (_, num) => `{"_placeholder":true,"num":${num}}`).join(',')
      bytes.push(message(random, 1, Buffer.from(`45${attachments}-["b${n}",${places}]`)))
      expected.push(`45${attachments}-["got","b${n}",${places}]`)
      for (let i = 0; i < attachments; i++) {
        const attachment = Buffer.alloc(random.below(12), 16 * n + i)
        bytes.push(message(random, 2, attachment))
        expected.push(attachment.toString('hex'))
      }
    }
  }
  const whole = Buffer.concat(bytes)
  return { bytes: whole, expected }
}

for (const [round, socketIo] of ['socket.io', 'socket.io-4-7'].entries()) {
  site(
    `what a client sends may be cut at any byte: seed ${SEED + round}, ${socketIo}`,
    { body: ECHO, socketIo },
    async ({ hub, port, told }) => {
      const random = new Random(SEED + round)
      const { bytes, expected } = script(random)
      const clients = Array.from({ length: bytes.length + 1 }, () => new RawClient(port))
      await Promise.all(clients.map((client) => client.connect()))
      for (const [cut, client] of clients.entries()) client.send(bytes.subarray(0, cut))
      await hub.reload()
      // A second time, for half of what is left.
      for (const [cut, client] of clients.entries())
        client.send(bytes.subarray(cut, cut + Math.ceil((bytes.length - cut) / 2)))
      await hub.reload()
      for (const [cut, client] of clients.entries())
        client.send(bytes.subarray(cut + Math.ceil((bytes.length - cut) / 2)))
      const complete = ({ packets, ended }: RawClient) => ended || packets.length >= expected.length
      await until(() => clients.every(complete), 'all have their answers')
      clients.forEach((client, cut) => {
        assert.deepEqual(client.packets, expected, `cut at ${cut} of ${bytes.length}, seed ${SEED + round}`)
        assert.equal(client.ended, false)
      })
      assert.deepEqual(hub.stats().handover, { moved: 2 * clients.length, left: 0 })
      // Their ends are noticed where they are.
      const closing = frame(8, Buffer.from([3, 232]))
      clients.forEach((client, i) => {
        if (i % 2) client.close()
        else client.send(closing.subarray(0, i % closing.length))
      })
      await hub.reload()
      for (const [i, client] of clients.entries()) if (i % 2 === 0) client.send(closing.subarray(i % closing.length))
      await until(() => told.length === clients.length, 'all have left')
      await until(() => clients.every(({ ended }) => ended), 'all are closed')
    },
  )
}

site(
  'a client that does not read is not waited for longer than handoverTimeout',
  { body: ECHO, hub: { handoverTimeout: 500 } },
  async ({ hub, port }) => {
    const client = new RawClient(port)
    await client.connect()
    client.pause()
    client.send(frame(1, '42["fill"]'))
    await hub.reload()
    assert.deepEqual(hub.stats().handover, { moved: 0, left: 1 })
    client.close()
  },
)

test.run()
