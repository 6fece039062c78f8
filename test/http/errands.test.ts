import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import http, { type RequestListener, type Server, type ServerResponse } from 'node:http'
import https from 'node:https'
import net, { type AddressInfo, type Socket } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Whereabouts } from '#lib/handover.js'
import { forward } from '#lib/http/forwarded-request.js'
import { Forwarding } from '#lib/http/forwarding.js'
import { Progress } from '#lib/http/progress.js'
import type { Member } from '#lib/member.js'
import type { Parcel } from '#lib/wire/handle-lane.js'
import { until } from '../conditions.js'
import { Client } from './harness.js'
import { tlsFile } from './tls.js'

// The parts of forwarding, each by itself.

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'errands-'))
process.once('exit', () => fs.rmSync(folder, { recursive: true, force: true }))
let sockets = 0
const newSocket = () => path.join(folder, `${++sockets}.sock`)

/** An HTTP server on a port of its own, while `body` runs. */
async function served(listener: RequestListener, body: (port: number, server: Server) => Promise<void>): Promise<void> {
  const server = http.createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await body((server.address() as AddressInfo).port, server)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

test('what is in progress is forgotten when its client goes, also behind an answer that is not there yet', async () => {
  const progress = new Progress()
  let come = 0
  const listener: RequestListener = (req, res) => {
    come++
    if (req.url === '/poll') progress.poll(res)
    else progress.request(req.url === '/new' ? undefined : req.url, res)
    if (req.url === '/answered') res.end()
  }
  await served(listener, async (port) => {
    const client = new Client(port)
    const paths = ['/answered', '/first', '/poll', '/poll', '/new', ...Array(15).fill('/third')]
    await client.write(paths.map((target) => `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''))
    await until(() => come === paths.length && !progress.has('/answered'), 'they come, and one is answered')
    assert.equal([progress.polls, progress.has('/first'), progress.has('/third')], [2, true, true])
    assert.is(progress.has(undefined), true)
    const warnings: Error[] = []
    process.on('warning', (warning) => warnings.push(warning))
    client.destroy()
    await until(() => progress.polls === 0 && !progress.has('/third'), 'they are forgotten')
    assert.equal([progress.has('/first'), progress.has(undefined)], [false, false])
    assert.equal(warnings, [], 'of too many listeners')
  })
})

const SESSION = `/socket.io/?sid=2.${'s'.repeat(20)}`
const GET = `GET ${SESSION} HTTP/1.1\r\nHost: x\r\n\r\n`
const UPGRADE = `GET ${SESSION} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: odd\r\n\r\n`

/** What a member that is none keeps of what is asked of it: where a session is, and connections that it sends. */
interface Told {
  find?: () => Whereabouts | undefined
  sent: Parcel[]
}

/** Forwards for the member with the address 1 to the one with the address 2, which is reached at that socket. */
function forwardingTo(socket: string, told: Told = { sent: [] }): Forwarding {
  const member = {
    address: 1,
    sessions: { find: () => told.find?.(), release: () => {} },
    handles: { add: (parcel: Parcel) => told.sent.push(parcel) },
  }
  const forwarding = new Forwarding(member as unknown as Member)
  const servers = [1, 2].map((address) => ({ address, socket, tls: false }))
  forwarding.update({ t: 'servers', paths: ['/socket.io'], servers, successors: [], secret: 'secret' })
  return forwarding
}

/** Whereabouts that nobody knows before they are told. */
function pending(): { after: Promise<void>; settle(): void } {
  let settle = () => {}
  const after = new Promise<void>((resolve) => {
    settle = resolve
  })
  return { after, settle }
}

/** A process that listens there, and can be stopped. */
async function listener(socket: string, code: string): Promise<ChildProcess> {
  const script = `${code}.listen({ path: ${JSON.stringify(socket)}, backlog: 1 }, () => process.stdout.write('up'))`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout as NodeJS.ReadableStream, 'data')
  return child
}

test('an owner that has too many connections to accept is tried again, with all of the body', async () => {
  const socket = newSocket()
  const child = await listener(socket, `require('http').createServer((req, res) => req.pipe(res))`)
  child.kill('SIGSTOP')
  const filling: Socket[] = []
  let full = false
  while (!full) {
    const one = net.connect(socket)
    filling.push(one)
    full = await new Promise<boolean>((resolve) => {
      one.once('connect', () => resolve(false))
      one.once('error', () => resolve(true))
    })
  }
  /** Of each request, in the order in which they came: how often its owner was busy. */
  const busy: number[] = []
  const responses: ServerResponse[] = []
  const owner = { address: 2, socket, tls: false }
  const front: RequestListener = (req, res) => {
    const n = responses.push(res) - 1
    busy[n] = 0
    const go = () =>
      forward(owner, req, res, [], (again) => {
        assert.ok(again)
        busy[n] = (busy[n] as number) + 1
        go()
      })
    go()
  }
  try {
    await served(front, async (port) => {
      const post = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello'
      const gone = new Client(port)
      await gone.write(post)
      await until(() => busy[0] === 1, 'it is tried')
      gone.destroy()
      await until(() => responses[0]?.destroyed, 'it is over')
      const client = new Client(port)
      await client.write(post)
      await until(() => (busy[1] ?? 0) > 2, 'another one is tried, and again')
      assert.is(busy[0], 1)
      child.kill('SIGCONT')
      for (const one of filling) one.destroy()
      await client.got(/\r\nhello\r\n0\r\n\r\n$/)
      client.destroy()
    })
  } finally {
    child.kill('SIGKILL')
  }
})

test('an owner that is gone has consumed nothing of a body; one that goes in the middle of it has', async () => {
  const socket = newSocket()
  let failed = 0
  const front: RequestListener = (req, res) =>
    forward({ address: 2, socket, tls: false }, req, res, [], () => {
      failed++
      req.setEncoding('utf8').on('data', (text) => res.end(`here: ${text}`))
    })
  await served(front, async (port) => {
    const client = new Client(port)
    const post = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n'
    await client.write(`${post}hello`)
    await client.got(/here: hello$/)
    assert.is(failed, 1)
    const child = await listener(socket, `require('net').createServer((s) => s.on('data', () => process.exit()))`)
    const ended = once(child, 'exit')
    const from = client.received.length
    await client.write(`${post}he`)
    await client.until(() => client.received.slice(from).startsWith('HTTP/1.1 400 '), 'no answer')
    assert.match(client.received.slice(from), /Session ID unknown/)
    assert.is(failed, 1)
    await ended
    // What is left of the body stands before the next request.
    await client.write(`llo${post}hello`)
    await client.until(() => client.received.slice(from).endsWith('here: hello'), 'no other answer')
    client.destroy()
  })
})

test('an upgrade travels when what was written before it has left, however little that is', async () => {
  const sent: Parcel[] = []
  const forwarding = forwardingTo(newSocket(), { sent })
  let waiting = 0
  let written = 0
  const front: RequestListener = ({ socket }, res) => {
    res.end('answer')
    res.once('close', () => {
      while (socket.writableLength === 0) {
        socket.write(Buffer.alloc(1000, 'z'))
        written += 1000
      }
    })
  }
  await served(front, async (port, server) => {
    server.on('upgrade', (req, socket, head) => {
      waiting = socket.writableLength
      assert.ok(forwarding.upgrade(req, socket, head, () => {}))
    })
    const client = new Client(port)
    client.socket.pause()
    await client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await until(() => written > 0, 'it is answered')
    await client.write(`${UPGRADE}ahead`)
    await until(() => waiting > 0, 'the upgrade comes')
    assert.is(sent.length, 0)
    client.socket.resume()
    await until(() => sent.length === 1, 'it travels')
    assert.is(String(sent[0]?.bytes), `${UPGRADE}ahead`)
    const end = () => client.received.length - client.received.indexOf('answer') - 'answer'.length
    await until(() => end() === written, 'nothing is lost')
    sent[0]?.handle.close()
    client.destroy()
  })
})

test('requests of a session that moves wait for it, unless their client goes', async () => {
  const wait = pending()
  let here = 0
  let come = 0
  const told: Told = { find: () => wait, sent: [] }
  const forwarding = forwardingTo(newSocket(), told)
  const front: RequestListener = (req, res) => {
    come++
    if (req.url === '/hang') return
    const local = () => res.end(`here: ${++here}`)
    assert.ok(forwarding.request(req, res, 'request', local))
  }
  await served(front, async (port) => {
    const [client, gone, behind] = [new Client(port), new Client(port), new Client(port)]
    for (const one of [client, gone]) await one.write(GET)
    await behind.write(`GET /hang HTTP/1.1\r\nHost: x\r\n\r\n${GET}`)
    await until(() => come === 4, 'they come')
    let closed = 0
    for (const one of [gone, behind]) {
      one.socket.once('close', () => closed++)
      one.destroy()
    }
    await until(() => closed === 2, 'they go')
    // The server has seen it: what came after them is answered.
    const probe = new Client(port)
    await probe.write('GET /hang HTTP/1.1\r\nHost: x\r\n\r\n')
    await until(() => come === 5, 'another one comes')
    told.find = () => 'here'
    wait.settle()
    await client.got(/here: 1$/)
    assert.is(here, 1)
    assert.is(forwarding.polls, 0)
    for (const one of [client, probe]) one.destroy()
  })
})

for (const where of ['here', { at: 2 }] as const) {
  test(`an upgrade of a session that moves waits for it, with all that comes meanwhile: ${JSON.stringify(where)}`, async () => {
    const wait = pending()
    const told: Told = { find: () => wait, sent: [] }
    const forwarding = forwardingTo(newSocket(), told)
    let here = 0
    let socket: Duplex | undefined
    await served(
      () => {},
      async (port, server) => {
        server.on('upgrade', (req, given, head) => {
          socket = given
          assert.ok(forwarding.upgrade(req, given, head, () => here++))
        })
        const [client, gone] = [new Client(port), new Client(port)]
        await gone.write(UPGRADE)
        await until(() => socket !== undefined, 'it comes')
        const first = socket as Duplex
        gone.socket.resetAndDestroy()
        await client.write(`${UPGRADE}ahead `)
        await until(() => socket !== first, 'the other one comes')
        await client.write('and meanwhile')
        await until(
          () => socket && socket.readableLength + 'ahead '.length >= 'ahead and meanwhile'.length,
          'more comes',
        )
        // As when it reads, and finds that nobody is there any more.
        first.destroy()
        told.find = () => where
        wait.settle()
        await until(() => told.sent.length + here > 0, 'it goes on')
        assert.equal([told.sent.length, here], where === 'here' ? [0, 1] : [1, 0])
        if (where !== 'here') assert.is(String(told.sent[0]?.bytes), `${UPGRADE}ahead and meanwhile`)
        told.sent[0]?.handle.close()
        socket?.destroy()
        client.destroy()
      },
    )
  })
}

test('who has forwarded a request knew better, and says who the client is; nobody else is believed', async () => {
  const forwarding = forwardingTo(newSocket())
  const seen: unknown[] = []
  const front: RequestListener = (req, res) => {
    const local = () => res.end('here')
    const taken = forwarding.request(req, res, 'request', local)
    seen.push([taken, req.socket.remoteAddress, req.headers['x-hubwire-forwarded'], req.rawHeaders.length])
    if (!taken) local()
  }
  await served(front, async (port) => {
    for (const secret of ['secret', 'guess']) {
      const client = new Client(port)
      await client.write(
        `GET ${SESSION} HTTP/1.1\r\nHost: x\r\nx-hubwire-forwarded: ${secret} 192.0.2.1 5 IPv4 \r\n\r\n`,
      )
      await client.got(/here$/)
      client.destroy()
    }
    assert.equal(seen, [
      [false, '192.0.2.1', undefined, 2],
      // Its owner cannot be reached.
      [true, '127.0.0.1', 'guess 192.0.2.1 5 IPv4', 4],
    ])
  })
})

test('a poll that another one answers is forgotten when its client goes, behind an answer that is still to come', async () => {
  const socket = newSocket()
  let come = 0
  const owner = http.createServer(() => come++).listen(socket)
  await once(owner, 'listening')
  const forwarding = forwardingTo(socket)
  const front: RequestListener = (req, res) => {
    if (req.url !== '/hang') forwarding.request(req, res, 'request', () => {})
  }
  await served(front, async (port) => {
    const client = new Client(port)
    await client.write(`GET /hang HTTP/1.1\r\nHost: x\r\n\r\n${GET}`)
    await until(() => come === 1, 'it comes')
    assert.is(forwarding.polls, 1)
    client.destroy()
    await until(() => forwarding.polls === 0, 'it is forgotten')
  })
  owner.closeAllConnections()
  owner.close()
})

test('an upgrade behind an answer that is still to come stays where it is', async () => {
  const told: Told = { sent: [] }
  const forwarding = forwardingTo(newSocket(), told)
  const taken: boolean[] = []
  await served(
    () => {},
    async (port, server) => {
      server.on('upgrade', (req, socket, head) => {
        socket.on('error', () => {})
        taken.push(forwarding.upgrade(req, socket, head, () => {}))
        socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
      })
      const client = new Client(port)
      await client.write(`GET /hang HTTP/1.1\r\nHost: x\r\n\r\n${UPGRADE}`)
      await client.got(/ 400 /)
      assert.equal([taken, told.sent.length], [[false], 0])
      client.destroy()
    },
  )
})

test('an upgrade is in progress until something is written to it', async () => {
  const progress = new Progress()
  let socket: Duplex | undefined
  await served(
    (_req, res) => res.end('first'),
    async (port, server) => {
      server.on('upgrade', (_req, given) => {
        socket = given.on('error', () => {})
        progress.upgrade('a', given)
      })
      const client = new Client(port)
      await client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
      await client.got(/first$/)
      await client.write(UPGRADE)
      await until(() => socket !== undefined, 'it comes')
      assert.equal([progress.has('a'), progress.has('b')], [true, false])
      socket?.write('answer')
      assert.is(progress.has('a'), false)
      client.destroy()
    },
  )
})

test('an owner that goes in the middle of its answer takes the connection along, and no poll is counted twice', async () => {
  const socket = newSocket()
  const owner = http.createServer((req, res) => {
    res.writeHead(200, { 'Content-Length': 8 }).write('half', () => setImmediate(() => req.socket.destroy()))
  })
  owner.listen(socket)
  await once(owner, 'listening')
  const forwarding = forwardingTo(socket)
  const polls: number[] = []
  const front: RequestListener = (req, res) => {
    const local = () => {
      polls.push(forwarding.polls)
      res.end('here')
    }
    assert.ok(forwarding.request(req, res, 'request', local))
    polls.push(forwarding.polls)
  }
  await served(front, async (port) => {
    const client = new Client(port)
    await client.write(GET)
    await client.until(() => client.ended || client.closed, 'it stays open')
    assert.match(client.received, /\r\n\r\nhalf$/)
    client.destroy()
    await new Promise((resolve) => owner.close(resolve))
    await until(() => forwarding.polls === 0, 'it is over')
    const again = new Client(port)
    await again.write(GET)
    await again.got(/here$/)
    assert.equal(polls, [1, 1, 1])
    again.destroy()
    await until(() => forwarding.polls === 0, 'that one is over, too')
  })
})

test('what an owner has said before it closes reaches a client that reads slowly, over a connection that stays', async () => {
  const socket = newSocket()
  const chunk = Buffer.alloc(1000, 'z')
  let toClient: Duplex | undefined
  let written = 0
  const owner = net.createServer((one) => {
    one.on('error', () => {}).resume()
    // Until something waits that is not much: then there is nothing to wait for.
    const more = () => {
      if (toClient && toClient.writableLength > 0) one.end()
      else one.write(chunk, () => setImmediate(more))
      written += one.writableEnded ? 0 : chunk.length
    }
    more()
  })
  owner.listen(socket)
  await once(owner, 'listening')
  const forwarding = forwardingTo(socket)
  const front = https.createServer({ key: fs.readFileSync(tlsFile('key')), cert: fs.readFileSync(tlsFile('cert')) })
  front.on('upgrade', (req, given, head) => {
    toClient = given
    assert.ok(forwarding.upgrade(req, given, head, () => {}))
  })
  front.listen(0, '127.0.0.1')
  await once(front, 'listening')
  const client = tls.connect({ port: (front.address() as AddressInfo).port, rejectUnauthorized: false })
  try {
    client.pause()
    client.write(UPGRADE)
    await until(() => toClient?.writableEnded === true, 'all has been said')
    let received = 0
    client.on('data', (bytes) => {
      received += bytes.length
    })
    client.resume()
    await once(client, 'close')
    assert.is(received, written)
  } finally {
    client.destroy()
    toClient?.destroy()
    front.close()
    owner.close()
  }
})

test('an answer stands, though its owner breaks off what it was not to read', async () => {
  const socket = newSocket()
  const owner = net.createServer((one) => {
    one.on('error', () => {})
    one.once('data', () => one.write('HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno', () => one.destroy()))
  })
  owner.listen(socket)
  await once(owner, 'listening')
  let first: ServerResponse | undefined
  let posted: ServerResponse | undefined
  const front: RequestListener = (req, res) => {
    if (req.url === '/first') {
      first = res
      return
    }
    posted = res
    forward({ address: 2, socket, tls: false }, req, res, [], () => assert.unreachable())
  }
  await served(front, async (port) => {
    const client = new Client(port)
    const size = 3_000_000
    await client.write('GET /first HTTP/1.1\r\nHost: x\r\n\r\n')
    await client.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n`)
    await until(() => posted?.headersSent, 'it is answered, behind another answer')
    await client.write('x'.repeat(size))
    await until(() => posted?.req.complete, 'all of it has come')
    first?.end()
    await client.got(/ 413 No\r\n.*\r\n\r\nno$/s)
    client.destroy()
  })
  owner.close()
})

test('polls of a member that leaves are asked for one question at a time', async () => {
  const socket = newSocket()
  const owner: Socket[] = []
  let said = ''
  const silent = net.createServer((one) => {
    owner.push(one)
    one.on('error', () => {})
    one.on('data', (chunk) => {
      said += chunk
    })
  })
  silent.listen(socket)
  await once(silent, 'listening')
  const forwarding = forwardingTo(socket)
  const { setInterval } = globalThis
  let again = () => {}
  globalThis.setInterval = ((callback: () => void) => {
    again = callback
    return setInterval(() => {}, 1000)
  }) as typeof setInterval
  try {
    const front: RequestListener = (req, res) => {
      assert.ok(forwarding.request(req, res, 'request', () => {}))
    }
    await served(front, async (port) => {
      const client = new Client(port)
      await client.write(GET)
      await until(() => owner.length === 1, 'the poll comes')
      assert.is(forwarding.polls, 1)
      forwarding.leave(3)
      assert.is(forwarding.polls, 0)
      for (let i = 0; i < 5; i++) again()
      await until(() => owner.length === 2, 'the question comes')
      const [, asked] = owner as [Socket, Socket]
      await until(() => / release\r\n/.test(said), 'it is the question')
      // The owner says nothing; but when the connection breaks, it is asked once more.
      for (let i = 0; i < 5; i++) again()
      asked.destroy()
      await until(() => {
        again()
        return owner.length > 2
      }, 'it is asked again')
      assert.is(owner.length, 3)
      client.destroy()
      await until(() => owner[0]?.readableEnded === true || owner[0]?.destroyed, 'the poll ends')
      const before = owner.length
      for (let i = 0; i < 5; i++) again()
      for (const one of owner) one.destroy()
      await new Promise((resolve) => net.connect(socket).once('connect', resolve))
      await until(() => owner.length > before, 'that one came')
      assert.is(owner.length, before + 1, 'nobody is asked for a poll that is over')
    })
  } finally {
    globalThis.setInterval = setInterval
    for (const one of owner) one.destroy()
    silent.close()
  }
})

test.run()
