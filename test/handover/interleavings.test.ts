import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'uvu'
import { Random } from '../fuzz/random.js'
import { until } from '../reload/app.js'
import { type Frame, frame, RawClient } from './raw-client.js'
import { site } from './site.js'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
const CLIENTS = [
  ['socket.io', 12],
  ['socket.io-4-7', 6],
] as const
const RELOADS = 2
/** Between two things that a client does, in milliseconds at most. */
const PAUSE = 40
/** How often a client goes through its script at most. */
const MOST = 30

/** Signs of life are asked for all the time. What is asked for in bulk is more than what a connection holds. */
const OPTIONS = '{ pingInterval: 50, pingTimeout: 300_000 }'
const BODY = `
  io.on('connection', (socket) => {
    socket.on('say', (...args) => socket.emit('said', ...args))
    socket.on('ask', (n, done) => done(n, Buffer.alloc(n % 7, n)))
    socket.on('bulk', (n, size) => {
      for (let i = 0; i < n; i++) socket.emit('part', i, Buffer.alloc(size, i), { deep: [Buffer.alloc(i % 5, 7)] })
    })
    socket.on('leave', () => socket.disconnect(true))
  })`

/** Of a packet, as much as it takes to know it again. */
function known(payload: Buffer | string): string {
  const bytes = Buffer.from(payload)
  return bytes.length < 100
    ? bytes.toString('latin1')
    : `${bytes.length}: ${createHash('sha1').update(bytes).digest('hex')}`
}

/** What is no sign of life. */
function isPacket({ opcode, payload }: Frame): boolean {
  return opcode === 2 || (opcode === 1 && payload.length > 1)
}

const place = (num: number) => `{"_placeholder":true,"num":${num}}`

/** A message in frames as a client may cut it, with signs of life between these. */
function message(random: Random, opcode: number, payload: Buffer): Buffer {
  const frames: Buffer[] = []
  let at = 0
  for (let pieces = 1 + random.below(3); pieces > 0; pieces--) {
    const end = pieces === 1 ? payload.length : at + random.below(payload.length - at + 1)
    frames.push(frame(frames.length === 0 ? opcode : 0, payload.subarray(at, end), { fin: pieces === 1 }))
    if (pieces > 1 && random.chance(0.3)) frames.push(frame(random.pick([9, 10]), 'x'.repeat(random.below(20))))
    at = end
  }
  return Buffer.concat(frames)
}

/** Lengths that a frame writes in one byte, in three, and in nine. */
function size(random: Random): number {
  return random.pick([0, 1, 90, 125, 126, 300, 65_535, 65_536, 70_000])
}

/** What a client sends, and the packets that it is to get for it. */
function script(random: Random): { bytes: Buffer; expected: string[] } {
  const bytes: Buffer[] = []
  const expected: string[] = []
  const text = (value: string) => bytes.push(message(random, 1, Buffer.from(value)))
  for (let n = 0; n < 10; n++) {
    switch (random.below(5)) {
      case 0: {
        const words = 'ä'.repeat(size(random) >> 2)
        text(`42["say",${n},"${words}"]`)
        expected.push(known(`42["said",${n},"${words}"]`))
        break
      }
      case 1: {
        const attachments = Array.from({ length: 1 + random.below(4) }, () => Buffer.alloc(size(random), n))
        const places = attachments.map((_, num) => place(num)).join(',')
        text(`45${attachments.length}-["say",[${places}]]`)
        expected.push(known(`45${attachments.length}-["said",[${places}]]`))
        for (const attachment of attachments) {
          bytes.push(message(random, 2, attachment))
          expected.push(known(attachment))
        }
        break
      }
      case 2:
        text(`42${n}["ask",${n}]`)
        expected.push(known(`461-${n}[${n},${place(0)}]`), known(Buffer.alloc(n % 7, n)))
        break
      case 3: {
        const [count, length] = [1 + random.below(8), random.pick([10, 5000, 300_000])]
        text(`42["bulk",${count},${length}]`)
        for (let i = 0; i < count; i++) {
          expected.push(known(`452-["part",${i},${place(0)},{"deep":[${place(1)}]}]`))
          expected.push(known(Buffer.alloc(length, i)), known(Buffer.alloc(i % 5, 7)))
        }
        break
      }
      default:
        // As engine.io's clients answer to a sign of life.
        text('3')
    }
  }
  return { bytes: Buffer.concat(bytes), expected }
}

/** Sends it piece by piece, reads now and then, and is at rest in between. */
async function play(client: RawClient, bytes: Buffer, random: Random): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + 1 + random.below(random.pick([4, 200, bytes.length])))
    client.send(bytes.subarray(at, end))
    at = end
    if (random.chance(0.4)) client.pause()
    if (random.chance(0.7)) await sleep(random.below(PAUSE))
    if (random.chance(0.6)) client.resume()
  }
  client.resume()
}

for (const [socketIo, count] of CLIENTS) {
  site(
    `whatever clients do at whatever moment, they get what they asked for, once and in order: seed ${SEED}, ${socketIo}`,
    { body: BODY, options: OPTIONS, socketIo, count: 2, hub: { handoverTimeout: 60_000, gracePeriod: 120_000 } },
    async ({ hub, port }) => {
      const players = Array.from({ length: count }, (_, i) => {
        const random = new Random(SEED + i)
        return { client: new RawClient(port), random, ...script(random) }
      })
      await Promise.all(players.map(({ client }) => client.connect()))
      let over = false
      const reloading = (async () => {
        for (let i = 0; i < RELOADS; i++) await hub.reload()
        over = true
      })()
      // Those whose script is over sooner begin it anew.
      const turns = players.map(async (player) => {
        let times = 0
        do {
          await play(player.client, player.bytes, player.random)
          await sleep(player.random.below(8 * PAUSE))
          times++
          // More than is worth looking through, on a machine whose processes take long to start.
          if (times < MOST) continue
          await reloading
        } while (!over)
        return times
      })
      const times = await Promise.all(turns)
      await reloading
      const isComplete = ({ client, expected }: (typeof players)[0], i: number) =>
        client.ended || client.frames.filter(isPacket).length >= expected.length * (times[i] ?? 0)
      await until(() => players.every(isComplete), 'all have their answers')
      players.forEach(({ client, expected }, i) => {
        const all = Array.from({ length: times[i] ?? 0 }, () => expected).flat()
        assert.equal(client.ended, false, `client ${i} was cut off`)
        const packets = client.frames.filter(isPacket).map(({ payload }) => known(payload))
        const wrong = all.findIndex((packet, at) => packet !== packets[at])
        const near = (some: string[]) => some.slice(Math.max(0, wrong - 6), wrong + 4).join('\n')
        const why = `client ${i}, seed ${SEED}, packet ${wrong} of ${all.length}:\n${near(all)}\nand not\n${near(packets)}`
        assert.equal(wrong, -1, why)
        assert.equal(packets.length, all.length)
      })
      assert.equal(hub.stats().handover?.left, 0)
      // The server's word that a client is to go reaches it wherever it is by then.
      const reload = hub.reload()
      for (const { client, random } of players) {
        await sleep(random.below(PAUSE))
        client.send(frame(1, '42["leave"]'))
      }
      await reload
      await until(() => players.every(({ client }) => client.ended), 'all were cut off')
    },
  )
}

test.run()
