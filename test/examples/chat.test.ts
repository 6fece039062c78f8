import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { io } from 'socket.io-client'
import * as assert from 'uvu/assert'
import { agree, chatSuite, MAIN, type Tab, until } from './chat.js'
import { Example } from './example.js'

const { test, chat } = chatSuite('examples/chat')

chat('every tab sees every message once, the other tabs of its sender too', async (site) => {
  const tabs: Tab[] = []
  const workers = new Set<string>()
  // Which worker serves a tab depends on the connections of the others: ann opens tabs until two workers serve her.
  while (workers.size < 2 && tabs.length < 8) {
    const tab = await site.join('ann')
    tabs.push(tab)
    workers.add(await tab.worker())
  }
  assert.is(workers.size, 2, 'the tabs of ann are on different workers')
  const anns = tabs.length
  for (const name of ['ben', 'carl']) tabs.push(await site.join(name))

  for (const [n, tab] of tabs.entries()) await tab.say(`${n}: <b>hello</b> & "welcome" 👋`)
  const texts = await agree(tabs, tabs.length)
  assert.ok(texts.includes(`${anns}: <b>hello</b> & "welcome" 👋`))
  for (const [n, tab] of tabs.entries()) {
    assert.is(await tab.log.locator('b').count(), 0, 'what users write is never HTML')
    assert.is(await tab.log.locator('.mine').count(), n < anns ? anns : 1)
    assert.is(await tab.log.locator('.pending, .failed').count(), 0)
  }
})

chat('what is for one person is seen by all tabs of the two, and by nobody else', async (site) => {
  const [ann1, ann2, ben1, ben2, carl] = [
    await site.join('ann'),
    await site.join('ann'),
    await site.join('ben'),
    await site.join('ben'),
    await site.join('carl'),
  ] as const
  await ann1.sayTo('ben', 'a secret')
  for (const tab of [ann1, ann2, ben1, ben2]) await tab.sees('a secret')
  assert.match(await ben1.log.textContent().then(String), /to you only/)
  assert.match(await ann2.log.textContent().then(String), /to ben only/)

  // All is sent by one process, in order: who has the second has had the first, if it was sent there.
  await ann1.say('for everybody')
  for (const tab of [ann1, ann2, ben1, ben2]) assert.equal(await agree([tab], 2), ['a secret', 'for everybody'])
  await carl.sees('for everybody')
  assert.equal(await carl.texts(), ['for everybody'])

  const late = await Promise.all([site.join('ben'), site.join('carl')])
  for (const tab of late) await tab.sees('for everybody')
  assert.equal(await late[0].texts(), ['a secret', 'for everybody'])
  assert.equal(await late[1].texts(), ['for everybody'])
})

chat('who is typing is seen by those it concerns, and ends', async (site) => {
  const [ann, other, ben, carl] = [
    await site.join('ann'),
    await site.join('ann'),
    await site.join('ben'),
    await site.join('carl'),
  ] as const
  // What is volatile may be lost, so ann goes on until it is seen.
  const types = async (seenBy: Tab[]) => {
    const shows = (tab: Tab) => tab.page.getByText('ann is typing').isVisible()
    await until(async () => {
      await ann.composer.press('x')
      return (await Promise.all(seenBy.map(shows))).every(Boolean)
    }, 'seen that ann types')
  }
  await types([ben, carl])
  assert.not(await other.page.getByText('is typing').isVisible())
  await ann.composer.fill('')
  await ben.page.getByText('is typing').waitFor({ state: 'hidden' })
  await carl.page.getByText('is typing').waitFor({ state: 'hidden' })

  await ann.page.getByLabel('To', { exact: true }).selectOption('ben')
  await types([ben])
  assert.not(await carl.page.getByText('is typing').isVisible())
  await ann.composer.fill('done')
  await ann.composer.press('Enter')
  await ben.sees('done')
  await ben.page.getByText('is typing').waitFor({ state: 'hidden' })
})

chat('publishes by HTTP, and refuses what is no message', async (site) => {
  const ann = await site.join('ann')
  const done = await site.post('/publish', { text: '  Hello <i>from</i> a shell ', from: 'deploy' })
  assert.is(done.status, 201)
  const { via } = (await done.json()) as { via: string }
  assert.match(via, /^web-[1-4]$/)
  await ann.sees('Hello <i>from</i> a shell')
  assert.is(await ann.log.locator('i').count(), 0)

  const refused = async (body: unknown, status: number, why: RegExp, headers?: Record<string, string>) => {
    const response = await site.post('/publish', body, headers)
    assert.is(response.status, status)
    assert.match(String(((await response.json()) as { error: string }).error), why)
  }
  await refused({ text: ' ' }, 400, /^text: write something/)
  await refused({ text: 'x'.repeat(2001) }, 400, /^text: .*2000/)
  await refused({ text: 'x', from: 'a\u202eb' }, 400, /^from: /)
  await refused({ text: 'x', from: 'x'.repeat(25) }, 400, /^from: .*24/)
  await refused({ text: 'x', admin: true }, 400, /admin/)
  await refused('null', 400, /object/)
  await refused('{', 400, /not JSON/)
  await refused({ text: 'x', from: 'x'.repeat(10_000) }, 413, /8192 bytes/)
  await refused('{"text":"x"}', 415, /application\/json/, { 'content-type': 'text/plain' })
  const get = await fetch(`${site.url}/publish`)
  assert.is(get.status, 405)
  assert.is(get.headers.get('allow'), 'POST')
  assert.is((await fetch(`${site.url}/..%2fweb.ts`)).status, 404)

  for (const path of ['/', '/app.js', '/publish', '/nothing']) {
    const { headers } = await fetch(site.url + path)
    assert.match(headers.get('content-security-policy') ?? '', /default-src 'none'; script-src 'self'/, path)
    assert.is(headers.get('x-content-type-options'), 'nosniff', path)
  }
  assert.equal(await ann.texts(), ['Hello <i>from</i> a shell'])
})

chat('nobody connects, or crashes a worker, without a token of this server', async (site) => {
  const good = await site.token('ann')
  const [body = '', signature = ''] = good.split('.')
  const forged = Buffer.from(JSON.stringify({ name: 'root', expires: Date.now() + 1e6 })).toString('base64url')
  const flipped = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
  for (const token of [
    undefined,
    '',
    'x',
    `${body}.`,
    `${body}.${flipped}`,
    `${forged}.${signature}`,
    7,
    good + good,
  ]) {
    const socket = io(site.url, { auth: { token }, transports: ['websocket'], reconnection: false, forceNew: true })
    socket.emit('crash')
    const outcome = await new Promise<string>((resolve) => {
      socket.once('connect', () => resolve('connected'))
      socket.once('connect_error', (error) => resolve(error.message))
    })
    assert.is(outcome, 'log in first', String(token))
    socket.disconnect()
  }
  assert.is((await site.client('ann')).welcome.name, 'ann')
  assert.not.match(site.example.output, /crashes/)
})

chat('a message that is sent twice under one key is one message, and bad ones are refused', async (site) => {
  const ann = await site.client('ann')
  const ben = await site.client('ben')
  const draft = { text: 'once', key: 'key-of-this-one' }
  const first = await ann.timeout(10_000).emitWithAck('say', draft)
  assert.equal(await ann.timeout(10_000).emitWithAck('say', draft), first)
  // Somebody else's key is another key.
  assert.is.not((await ben.timeout(10_000).emitWithAck('say', draft)).id, first.id)
  for (const bad of [undefined, 'x', {}, { ...draft, text: '' }, { ...draft, key: '' }, { ...draft, to: '' }]) {
    assert.type((await ann.timeout(10_000).emitWithAck('say', bad)).error, 'string')
  }
  // Nothing that is no acknowledgement ends the worker.
  ann.emit('say', draft, 'no function')
  ann.emit('typing', { to: 'ben' })
  await ann.timeout(10_000).emitWithAck('say', { text: 'last', key: 'another-key' })
  await until(() => ben.messages.some(({ text }) => text === 'last'), 'the last message')
  assert.equal(
    ben.messages.map(({ from, text }) => `${from}: ${text}`),
    ['ann: once', 'ben: once', 'ann: last'],
  )
})

test('says so when the port is taken', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const { port } = server.address() as AddressInfo
    const example = new Example(MAIN, { PORT: String(port) })
    await example.matching(new RegExp(`Port ${port} is taken. Choose another: PORT=\\d+ npm start`))
    const [code] = example.process.exitCode === null ? await once(example.process, 'exit') : [example.process.exitCode]
    assert.is(code, 1, example.output)
  } finally {
    server.close()
  }
})

test.run()
