import http from 'node:http'
import type { PrimaryHub } from 'hubwire'
import { io, type Socket } from 'socket.io-client'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Client, fetch, type Site, until, withSite } from './harness.js'
import { Polling } from './polling.js'
import type { Chat } from './workers/chat.js'

const exec = new URL('./workers/chat.js', import.meta.url)

/** Its `maxHttpBufferSize`. */
const MAX_PACKET = 3e6

/** A test of a hub with these many workers, each with a Socket.IO server. */
function chat(
  name: string,
  count: number,
  body: (site: Site & { chat: PrimaryHub<Chat> }) => Promise<void>,
  env: Record<string, string> = {},
): void {
  test(name, () =>
    withSite([{ role: 'web', count, exec, env }], {}, (site) =>
      // The worker's contract is another one than that of most tests.
      body({ ...site, chat: site.hub as unknown as PrimaryHub<Chat> }),
    ),
  )
}

chat('sessions of all workers and plain requests mix on one kept-alive connection', 3, async ({ port, chat }) => {
  const sessions: Polling[] = []
  for (let i = 0; i < 6; i++) sessions.push(await Polling.open(port))
  assert.is(new Set(sessions.map(({ address }) => address)).size, 3, 'they live on three workers')
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  for (const session of sessions) session.agent = agent
  const here = (await fetch(port, '/who', { agent })).body
  for (let round = 0; round < 5; round++) {
    for (const session of sessions) {
      await session.echo(`${round} grüße`)
      assert.is((await fetch(port, '/who', { agent })).body, here, 'it is still the same connection')
    }
  }
  // As large as a packet may be there.
  const large = 'x'.repeat(MAX_PACKET - '42["echo",""]'.length)
  for (const session of sessions.slice(0, 3)) await session.echo(large)
  // Binary, as engine.io sends it in text.
  for (const session of sessions.slice(0, 3)) {
    assert.is(await session.post('451-["echo",{"_placeholder":true,"num":0}]\x1ebAQIDBA=='), 'ok')
    assert.is(await session.get(), '451-["echo",{"_placeholder":true,"num":0}]\x1ebAQIDBA==')
  }
  agent.destroy()
  const open = async () =>
    (await chat.to({ role: 'web' }).gather('open')).map((entry) => 'value' in entry && entry.value.connections)
  const end = Date.now() + 5000
  while (!(await open()).every((count) => count === 0)) if (Date.now() > end) throw new Error(`left: ${await open()}`)
})

/** A connection that is with another worker than this session. */
async function elsewhere(port: number, session: Polling): Promise<{ client: Client; id: string }> {
  const others: Client[] = []
  for (;;) {
    const client = new Client(port)
    const id = await client.who()
    if (!(await owns(port, client, session))) {
      for (const other of others) other.destroy()
      return { client, id }
    }
    others.push(client)
  }
}

/** Whether the worker at this connection has seen a request of the session itself: asks for its own record. */
async function owns(_port: number, client: Client, session: Polling): Promise<boolean> {
  const id = /web-\d/.exec(client.received)?.[0] as string
  return owners.get(session.address) === id
}

/** Ids by the address in session ids. */
const owners = new Map<string, string>()

async function learnOwners(hub: PrimaryHub<Chat>): Promise<void> {
  owners.clear()
  for (const { id, status, ...rest } of await hub.to({ role: 'web' }).gather('remotes')) {
    if (status !== 'fulfilled' || !('value' in rest)) continue
    for (const sid of Object.keys(rest.value)) owners.set(sid.split('.')[0] as string, id)
  }
}

chat(
  'a forwarded request has the remote address of its client, and no trace of how it came',
  2,
  async ({ port, chat }) => {
    const session = await Polling.open(port)
    await learnOwners(chat)
    const owner = owners.get(session.address) as string
    const { client } = await elsewhere(port, session)
    // A header that somebody made up is a header like any other.
    const forged = 'X-Hubwire-Forwarded: secret 1.2.3.4 5 IPv4\r\n'
    await client.write(`POST ${session.target} HTTP/1.1\r\nHost: x\r\n${forged}Content-Length: 1\r\n\r\n3`)
    await client.got(/\r\n\r\nok$/)
    assert.match(client.received, /\r\nConnection: keep-alive\r\n/)
    const remotes = await chat.to(owner).request('remotes')
    assert.is(remotes[session.sid], `127.0.0.1 ${client.socket.localPort} IPv4 clean`)
    client.destroy()
  },
)

chat('a poll that is aborted is aborted at its owner', 2, async ({ port, chat }) => {
  const session = await Polling.open(port)
  await learnOwners(chat)
  const owner = owners.get(session.address) as string
  assert.is((await chat.to(owner).request('open')).sessions, 1)
  const { client } = await elsewhere(port, session)
  await client.write(`GET ${session.target} HTTP/1.1\r\nHost: x\r\n\r\n`)
  const open = () => chat.to(owner).request('open')
  while ((await open()).connections === 0);
  assert.is((await open()).sessions, 1)
  client.destroy()
  // Engine.io takes a poll that breaks off for the end of its session.
  const end = Date.now() + 5000
  while ((await open()).sessions > 0) if (Date.now() > end) throw new Error('the owner does not see it')
  while ((await open()).connections > 0) if (Date.now() > end) throw new Error('a forwarded connection is left')
})

chat('a session whose worker is gone is unknown, in engine.io’s own words', 2, async ({ port, chat }) => {
  const session = await Polling.open(port)
  await learnOwners(chat)
  const owner = owners.get(session.address) as string
  const { client } = await elsewhere(port, session)
  // A poll that hangs when its owner dies, and requests after that.
  await client.write(`GET ${session.target} HTTP/1.1\r\nHost: x\r\n\r\n`)
  while ((await chat.to(owner).request('open')).connections === 0);
  process.kill(chat.members.find(({ id }) => id === owner)?.pid as number, 'SIGKILL')
  await client.until(() => client.closed || /Session ID unknown/.test(client.received), 'it hangs')
  client.destroy()
  for (const method of ['GET', 'POST']) {
    const { status, body } = await fetch(port, session.target, { method, body: method === 'POST' ? '3' : '' })
    assert.is(status, 400)
    assert.is(JSON.parse(body).message, 'Session ID unknown')
  }
})

for (const [who, env] of [
  ['Node', {}],
  ['a listener of the server’s own', { JUDGE: 'yes' }],
] as const) {
  chat(
    `bodies of all kinds are forwarded, and what expects a word before it gets it: from ${who}`,
    2,
    async ({ port, chat }) => {
      const session = await Polling.open(port)
      await learnOwners(chat)
      const { client } = await elsewhere(port, session)
      const head = `POST ${session.target} HTTP/1.1\r\nHost: x\r\n`
      const answers = () => client.received.split('\r\n\r\nok').length - 1
      await client.write(`${head}Transfer-Encoding: chunked\r\n\r\n1\r\n3\r\n0\r\n\r\n`)
      await client.until(() => answers() === 1, 'no answer')
      await client.write(`${head}Content-Length: 1\r\nExpect: 100-continue\r\n\r\n`)
      await client.got(/HTTP\/1.1 100 Continue\r\n\r\n$/)
      await client.write('3')
      await client.until(() => answers() === 2, 'no answer')
      client.destroy()
    },
    env,
  )
}

chat(
  'when the owner dies, its answers break off, and what it has not answered is unknown',
  2,
  async ({ port, chat }) => {
    const session = await Polling.open(port)
    await learnOwners(chat)
    const owner = owners.get(session.address) as string
    const { client: half } = await elsewhere(port, session)
    const { client: posting } = await elsewhere(port, session)
    await half.write(`GET ${session.target} HTTP/1.1\r\nHost: x\r\nX-Half: yes\r\n\r\n`)
    await half.got(/\r\n\r\nhalf$/)
    await posting.write(`POST ${session.target} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n42`)
    while ((await chat.to(owner).request('open')).connections < 2);
    process.kill(chat.members.find(({ id }) => id === owner)?.pid as number, 'SIGKILL')
    await half.until(() => half.ended || half.closed, 'it stays open')
    assert.match(half.received, /\r\n\r\nhalf$/)
    await posting.got(/HTTP\/1.1 400 Bad Request\r\n.*Session ID unknown/s)
    for (const client of [half, posting]) client.destroy()
  },
)

chat('a payload beyond what its owner takes is refused', 2, async ({ port, chat }) => {
  const session = await Polling.open(port)
  await learnOwners(chat)
  const { client } = await elsewhere(port, session)
  const from = client.received.length
  await client.write(`POST ${session.target} HTTP/1.1\r\nHost: x\r\nContent-Length: ${MAX_PACKET + 1}\r\n\r\n`)
  client.write('4'.repeat(MAX_PACKET + 1))
  // Engine.io, of some versions, closes the connection behind its 413: whether that is read in front of it is chance.
  const over = () => /^HTTP.1.1 4(13|00) /.test(client.received.slice(from)) || client.closed || client.ended
  await client.until(over, 'no answer')
  assert.not.match(client.received.slice(from), /^HTTP.1.1 200 /)
  client.destroy()
})

for (const [name, count, path, told] of [
  ['a path of Socket.IO that the port does not know is told of, once', 2, '/elsewhere', 1],
  ['one that it knows is not', 2, '/socket.io', 0],
  ['nor is it where one member alone has all sessions', 1, '/elsewhere', 0],
] as const) {
  test(name, () =>
    withSite(
      [{ id: 'only', role: 'web', exec }, ...(count > 1 ? [{ id: 'other', role: 'web', exec }] : [])],
      { path },
      async ({ port, hub }) => {
        const chat = hub as unknown as PrimaryHub<Chat>
        for (let i = 0; i < 4; i++) assert.is((await fetch(port, '/socket.io/?EIO=4&transport=polling')).status, 200)
        for (const { id, role } of hub.members) {
          if (role !== 'web') continue
          const warnings = await chat.to(id).request('warnings')
          assert.is(warnings.length, told, String(warnings))
          for (const warning of warnings)
            assert.match(
              warning,
              /opened at "\/socket\.io\/", and .* below "\/elsewhere\/" only\. .*hub\.listen\({ path }\)/,
            )
        }
      },
    ),
  )
}

/** A WebSocket frame of a client. The mask is zeros: the text can be read. */
const frame = (text: string) => `\x81${String.fromCharCode(0x80 | text.length)}\0\0\0\0${text}`

chat('an upgrade that reached another worker travels to its owner', 2, async ({ port, chat }) => {
  const session = await Polling.open(port)
  await learnOwners(chat)
  const owner = owners.get(session.address) as string
  const { client, id } = await elsewhere(port, session)
  assert.is.not(id, owner)
  const target = session.target.replace('polling', 'websocket')
  const from = client.received.length
  await client.write(
    `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n${frame('2probe')}`,
  )
  await client.until(() => /^HTTP.1.1 101 .*3probe$/s.test(client.received.slice(from)), 'no probe')
  await client.write(frame('5') + frame('42["echo",7]'))
  await client.got(/42\["echo",7\]$/)
  assert.match(client.received.slice(from), /^HTTP\/1.1 101/)
  assert.is((await chat.to(owner).request('open')).sessions, 1)
  const { http: stats } = chat.stats()
  assert.is(stats?.rerouted, 1)
  const there = stats?.workers.find((worker) => worker.id === id)
  await until(() => chat.stats().http?.workers.find((worker) => worker.id === id)?.connections === 0, `${there}`)
  const seen = (await chat.to(owner).request('remotes'))[session.sid]
  assert.match(seen as string, `127.0.0.1 ${client.socket.localPort} `)
  client.destroy()
})

for (const transports of [['polling'], ['polling', 'websocket'], ['websocket']]) {
  chat(`many clients that share connections: ${transports}`, 3, async ({ port, chat }) => {
    const agent = new http.Agent({ keepAlive: true })
    const clients = Array.from({ length: 12 }, () => {
      // Its types know only the agents of XMLHttpRequest.
      const options = { transports, agent: agent as unknown as string, forceNew: true, reconnection: false }
      return io(`http://127.0.0.1:${port}`, options)
    })
    const lost: string[] = []
    for (const client of clients) client.on('disconnect', (reason) => lost.push(reason))
    try {
      await Promise.all(clients.map((client) => connected(client)))
      const homes = await Promise.all(
        clients.map(async (client, n) => {
          const seen = new Set<string>()
          for (let i = 0; i < 30; i++) {
            const sent = i % 3 === 0 ? Buffer.from([n, i]) : { n, i }
            const { value, id } = await client.timeout(10_000).emitWithAck('echo', sent)
            assert.equal(value, sent)
            seen.add(id)
          }
          assert.is(seen.size, 1, 'a session stays where it is')
          return [...seen][0]
        }),
      )
      assert.is(new Set(homes).size, 3)
      assert.equal(lost, [])
      if (transports.includes('websocket')) {
        await until(() => clients.every((client) => client.io.engine.transport.name === 'websocket'), 'all upgrade')
        for (const client of clients) await client.timeout(10_000).emitWithAck('echo', 'after')
        assert.equal(lost, [])
      }
    } finally {
      for (const client of clients) client.disconnect()
      agent.destroy()
    }
    const end = Date.now() + 5000
    for (const id of ['web-1', 'web-2', 'web-3']) {
      while ((await chat.to(id).request('open')).sessions > 0)
        if (Date.now() > end) throw new Error(`${id} has sessions`)
    }
  })
}

function connected(client: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    client.once('connect', resolve)
    client.once('connect_error', reject)
  })
}

test.run()
