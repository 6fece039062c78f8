import assert from 'node:assert/strict'
import http from 'node:http'
import { type PrimaryHub, startHub } from 'hubwire'
import { test } from 'uvu'
import { WebSocketServer } from 'ws'
import { Random } from '../fuzz/random.js'
import { memberOf, until } from '../reload/app.js'
import { Client, MANUAL, serving, site, VERSIONS } from './plain-ws-site.js'
import { frame, RawClient } from './raw-client.js'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))

const ECHO = `
  let late = () => {}
  wss.on('connection', (ws, request) => {
    const known = handoverOf(ws)
    tell('connection', known ? known.state : 'new', request.url, request.headers['x-marked'], ws.protocol, wss.clients.has(ws))
    ws.on('message', (data, binary) => {
      const text = data.toString()
      if (text === 'who') ws.send('pid ' + process.pid + ' ' + request.socket.remoteAddress)
      else if (text === 'fill') {
        for (let i = 0; i < 30; i++) ws.send('filling ' + i + ' ' + 'x'.repeat(200_000))
        let counted = 0
        const counting = setInterval(() => ws.send('count ' + counted++), 5)
        ws.once('handover', () => {
          clearInterval(counting)
          ws.send('counted ' + counted)
        })
      }
      else if (text.startsWith('late')) ws.once('handover', () => setTimeout(() => {
        ws.send(text); ws.send(Buffer.from(text)); ws.ping()
        if (text === 'late close') ws.close(4001, 'so late')
        late()
      }, 50))
      else if (text === 'close') ws.close(4000, 'bye')
      else ws.send(data, { binary })
    })
    ws.on('close', (code) => tell('close', code))
    ws.on('handover', () => tell('handover', ws.readyState, wss.clients.has(ws)))
  })`

site(
  'the application gets the WebSocket as it was, and tells a handover from an end',
  { body: ECHO, serve: '{ webSockets: [wss], onHandover: () => new Map([[1, process.pid]]) }' },
  async ({ hub, port, told }) => {
    const client = await new Client(port, { protocols: ['soap', 'rest'], headers: { 'x-marked': 'yes' } }).open()
    const before = memberOf(hub, 'web-1').pid
    assert.equal(await client.ask('who', 'pid'), `pid ${before} 127.0.0.1`)
    await hub.reload()
    const after = memberOf(hub, 'web-1').pid
    assert.notEqual(after, before)
    assert.equal(await client.ask('who', 'pid'), `pid ${after} 127.0.0.1`)
    await until(() => told.length >= 3, 'told')
    const seen = ['/chat?name=ann', 'yes', 'soap', true]
    assert.deepEqual(told, [
      [before, 'connection', 'new', ...seen],
      [after, 'connection', new Map([[1, before]]), ...seen],
      [before, 'handover', 1, false],
    ])
    client.socket.send('close')
    await until(() => client.end !== undefined, 'closed')
    assert.deepEqual(client.end, [4000, 'bye'])
    await until(() => told.length === 4, 'told')
    assert.deepEqual(told[3], [after, 'close', 4000])
  },
)

site(
  'what handlers of the old process still send, and that they close, reaches the client',
  // A task keeps the old process until both have.
  { body: `${ECHO}; hub.handle('both', () => new Promise((done) => { let n = 0; late = () => ++n === 2 && done() }))` },
  async ({ hub, port, told }) => {
    const [first, second] = [await new Client(port).open(), await new Client(port).open()] as const
    first.socket.send('late')
    second.socket.send('late close')
    await first.ask('heard', 'heard')
    await second.ask('heard', 'heard')
    for (const { got } of [first, second]) got.length = 0
    const waiting = hub.to('web-1').request('both')
    await until(() => hub.stats().links?.some(({ runningTasks }) => runningTasks === 1) === true, 'it waits')
    const before = memberOf(hub, 'web-1').pid
    const reload = hub.reload()
    await until(() => first.got.length === 2 && second.end !== undefined, 'late')
    assert.deepEqual(first.got, ['late', `binary ${Buffer.from('late').toString('hex')}`])
    assert.deepEqual(second.got, ['late close', `binary ${Buffer.from('late close').toString('hex')}`])
    assert.deepEqual(second.end, [4001, 'so late'])
    await waiting
    await reload
    await first.ask('still here', 'still here')
    const after = memberOf(hub, 'web-1').pid
    assert.deepEqual(
      told.filter(([, what]) => what === 'close'),
      [[after, 'close', 4001]],
    )
    assert.notEqual(after, before)
    first.socket.terminate()
  },
)

/** A message in one frame or several, perhaps with signs of life between these. */
function message(random: Random, opcode: number, payload: Buffer): Buffer {
  const pieces = 1 + random.below(4)
  const frames: Buffer[] = []
  let at = 0
  for (let i = 0; i < pieces; i++) {
    const end = i + 1 === pieces ? payload.length : at + random.below(payload.length - at + 1)
    frames.push(frame(i === 0 ? opcode : 0, payload.subarray(at, end), { fin: i + 1 === pieces }))
    if (i + 1 < pieces && random.below(3) === 0) frames.push(frame(9, `p${i}`))
    at = end
  }
  return Buffer.concat(frames)
}

for (const ws of VERSIONS) {
  site(`what a client sends may be cut at any byte: seed ${SEED}, ${ws}`, { body: ECHO, ws }, async ({ hub, port }) => {
    const random = new Random(SEED)
    const sent: Buffer[] = []
    const expected: string[] = []
    for (let n = 0; n < 6; n++) {
      const payload = Buffer.from(`${n} ${'y'.repeat(random.below(4) === 0 ? 130 : random.below(20))}`)
      const opcode = 1 + random.below(2)
      sent.push(message(random, opcode, payload))
      expected.push(`${opcode} ${payload}`)
    }
    const bytes = Buffer.concat(sent)
    const clients = Array.from({ length: bytes.length + 1 }, () => new RawClient(port, '', '/plain'))
    await Promise.all(clients.map((client) => client.opened()))
    for (const [cut, client] of clients.entries()) client.send(bytes.subarray(0, cut))
    await hub.reload()
    const half = (cut: number) => cut + Math.ceil((bytes.length - cut) / 2)
    for (const [cut, client] of clients.entries()) client.send(bytes.subarray(cut, half(cut)))
    await hub.reload()
    for (const [cut, client] of clients.entries()) client.send(bytes.subarray(half(cut)))
    const messages = ({ frames }: RawClient) =>
      frames.flatMap(({ opcode, payload }) => (opcode < 3 ? [`${opcode} ${payload}`] : []))
    await until(() => clients.every((one) => one.ended || messages(one).length >= expected.length), 'all is echoed')
    clients.forEach((client, cut) => {
      assert.deepEqual(messages(client), expected, `cut at ${cut} of ${bytes.length}, seed ${SEED}`)
      assert.equal(client.ended, false)
    })
    assert.deepEqual(hub.stats().handover, { moved: 2 * clients.length, left: 0 })
    for (const client of clients) client.close()
  })
}

site('what is half written when a client is handed over arrives whole', { body: ECHO }, async ({ hub, port, told }) => {
  const client = new RawClient(port, '', '/plain')
  await client.opened()
  client.pause()
  client.send(frame(1, 'fill'))
  client.send(frame(1, 'more'))
  // When this one has gone, the other has been looked at: it is before it.
  const other = await new Client(port).open()
  await other.ask('hello', 'hello')
  const reload = hub.reload()
  await until(() => told.some(([, what]) => what === 'handover'), 'the other has gone')
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.equal(hub.stats().handover?.moved, 1)
  client.resume()
  await reload
  client.send(frame(1, 'end'))
  await until(() => client.texts.includes('end'), 'it goes on')
  const texts = client.texts.map((text) => text.replace(/ x+$/, ''))
  const [counted = ''] = texts.filter((text) => text.startsWith('counted '))
  const count = Number(counted.slice(8))
  assert.ok(count > 10, counted)
  assert.deepEqual(
    texts.filter((text) => text !== 'more' && text !== 'end'),
    [
      ...Array.from({ length: 30 }, (_, i) => `filling ${i}`),
      ...Array.from({ length: count }, (_, i) => `count ${i}`),
      counted,
    ],
  )
  assert.equal(texts.filter((text) => text === 'more').length, 1)
  assert.deepEqual(hub.stats().handover, { moved: 2, left: 0 })
  client.close()
  other.socket.terminate()
})

site(
  'a client that does not read is not waited for longer than handoverTimeout',
  { body: ECHO, hub: { handoverTimeout: 500 } },
  async ({ hub, port }) => {
    const client = new RawClient(port, '', '/plain')
    await client.opened()
    client.pause()
    client.send(frame(1, 'fill'))
    await hub.reload()
    assert.deepEqual(hub.stats().handover, { moved: 0, left: 1 })
    client.close()
  },
)

site(
  'what cannot move is closed as a service restart, and the others move',
  { body: ECHO, options: 'perMessageDeflate: true' },
  async ({ hub, port, told }) => {
    const compressed = await new Client(port, { perMessageDeflate: true }).open()
    const plain = await new Client(port).open()
    await hub.reload()
    await until(() => compressed.end !== undefined, 'it is closed')
    assert.deepEqual(compressed.end, [1012, 'service restart'])
    await plain.ask('hello', 'hello')
    assert.deepEqual(hub.stats().handover, { moved: 1, left: 1 })
    assert.deepEqual(
      told.filter(([, what]) => what === 'close').map(([, , code]) => code),
      [1012],
    )
    plain.socket.terminate()
  },
)

site(
  'new code that serves no WebSockets gets none',
  { body: ECHO, hub: { handoverTimeout: 300 } },
  async ({ hub, port, app }) => {
    const client = await new Client(port).open()
    app.write(serving(ECHO, { serve: '{}' }), MANUAL)
    await hub.reload()
    await until(() => client.end !== undefined, 'it is closed')
    assert.deepEqual(client.end, [1012, 'service restart'])
    assert.deepEqual(hub.stats().handover, { moved: 0, left: 1 })
  },
)

site(
  'one whose upgrade comes when the others have gone follows, and state that cannot be cloned stays',
  { body: ECHO, serve: `{ webSockets: wss, onHandover: () => () => 'a function' }` },
  async ({ hub, port, told }) => {
    const first = await new Client(port).open()
    const late = new RawClient(port, '', '/plain', true)
    await until(() => hub.stats().http?.workers[0]?.connections === 2, 'both are there')
    const reload = hub.reload()
    await until(() => told.some(([, what]) => what === 'handover'), 'one has gone')
    const before = told[0]?.[0]
    late.send(Buffer.from('\r\n'))
    await late.opened()
    await reload
    late.send(frame(1, 'who'))
    await until(() => late.texts.length > 0, 'it answers')
    assert.equal(late.texts[0], `pid ${memberOf(hub, 'web-1').pid} 127.0.0.1`)
    assert.deepEqual(
      told.filter(([, what]) => what === 'connection').map(([pid, , known]) => [pid === before, known]),
      [
        [true, 'new'],
        [false, undefined],
        [true, 'new'],
        [false, undefined],
      ],
    )
    assert.deepEqual(hub.stats().handover, { moved: 2, left: 0 })
    first.socket.terminate()
    late.close()
  },
)

site(
  'clients that close, and are closed, while they move are gone on both sides',
  { body: ECHO, count: 2 },
  async ({ hub, port, told }) => {
    const clients = await Promise.all(Array.from({ length: 60 }, () => new Client(port).open()))
    const reload = hub.reload()
    for (const [i, { socket }] of clients.entries()) {
      setTimeout(
        () => (i % 3 === 0 ? socket.terminate() : i % 3 === 1 ? socket.close(4002) : socket.send('close')),
        i * 15,
      )
    }
    await reload
    await until(() => clients.every(({ end }) => end !== undefined), 'all are closed')
    await until(() => told.filter(([, what]) => what === 'close').length === clients.length, 'each end is told once')
    assert.deepEqual(
      clients.map(({ end }) => end?.[0]),
      clients.map((_, i) => [1006, 4002, 4000][i % 3]),
    )
    assert.equal(hub.stats().handover?.left ?? 0, 0)
    // Nothing of them is left in either process.
    await until(
      () => hub.stats().http?.workers.every(({ connections }) => connections === 0) === true,
      'no connection is left',
    )
  },
)

test('options are checked by name', async () => {
  const hub: PrimaryHub = await startHub({ signals: false })
  try {
    const server = http.createServer()
    const webSockets = new WebSocketServer({ noServer: true })
    const refused = (options: object, message: RegExp) =>
      assert.throws(() => hub.serve(server, options), { code: 'ERR_INVALID_ARG_VALUE', message })
    refused({ websockets: webSockets }, /hub\.serve\(\): unknown option "websockets"\. Did you mean "webSockets"\?/)
    refused({ webSockets: server }, /webSockets must be a WebSocketServer of the package ws/)
    refused({ webSockets: [] }, /webSockets must be/)
    refused({ webSockets: new WebSocketServer({ noServer: true, clientTracking: false }) }, /It needs clientTracking/)
    refused({ webSockets, onHandover: {} }, /onHandover must be a function/)
    refused({ onHandover: () => 1 }, /give their servers, too/)
    hub.serve(server, { webSockets })
    server.close()
  } finally {
    await hub.close()
  }
})

test.run()
