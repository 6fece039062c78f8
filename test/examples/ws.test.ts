import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocket } from 'ws'
import type { Bid } from '../../examples/ws/contract.js'
import { until } from '../conditions.js'
import { assertEndsCleanly, Example, endAll } from './example.js'

const MAIN = fileURLToPath(new URL('../../examples/ws/main.js', import.meta.url))
const CLIENTS = 6

interface Told extends Partial<Bid> {
  you?: string
  pid?: number
  bids?: number
}

const test = suite('examples/ws')

test.after.each(endAll)

test('everybody sees each bid once and in order over deploys, and nobody is disconnected', async () => {
  const example = await Example.start(MAIN)
  const clients = Array.from({ length: CLIENTS }, () => {
    const socket = new WebSocket(example.url.replace('http', 'ws'))
    const told: Told[] = []
    const wrong: string[] = []
    socket.on('message', (data) => told.push(JSON.parse(String(data))))
    socket.on('close', (code) => wrong.push(`closed: ${code}`))
    socket.on('error', (error) => wrong.push(error.message))
    return { socket, told, wrong, sent: 0 }
  })
  await until(() => clients.every(({ told }) => told.length > 0), 'all are there')
  const bidding = setInterval(() => {
    for (const client of clients) client.socket.send(String(++client.sent))
  }, 20)
  try {
    for (const round of [1, 2]) {
      example.process.stdin?.write('\n')
      await example.matching(/deployed: (\d+) WebSockets/, round)
    }
  } finally {
    clearInterval(bidding)
  }
  const bidsOf = (told: Told[]) => told.flatMap(({ n, by }) => (by === undefined ? [] : [n]))
  const all = clients.reduce((sum, { sent }) => sum + sent, 0)
  await until(() => clients.every(({ told, wrong }) => wrong.length > 0 || bidsOf(told).length >= all), 'all bids')
  for (const { told, wrong, sent } of clients) {
    assert.equal(wrong, [])
    assert.equal(
      bidsOf(told),
      Array.from({ length: all }, (_, i) => i + 1),
    )
    const greetings = told.filter(({ you }) => you !== undefined)
    assert.is(new Set(greetings.map(({ pid }) => pid)).size, 3, 'served by three processes, one after the other')
    assert.is(new Set(greetings.map(({ you }) => you)).size, 1)
    const [first = -1, second = -1, third = -1] = greetings.map(({ bids }) => bids)
    assert.ok(first === 0 && first < second && second < third && third <= sent, JSON.stringify(greetings))
  }
  assert.equal(example.all(/deployed: (\d+) WebSockets/g), [String(CLIENTS), String(2 * CLIENTS)])
  for (const { socket } of clients) socket.terminate()
  await assertEndsCleanly(example)
})

test.run()
