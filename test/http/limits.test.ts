import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { type HttpStats, HubError, startHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createRawServer } from '#lib/http/raw-handle.js'
import { Reception } from '#lib/http/reception.js'
import { until as untilTrue } from '../conditions.js'
import { Client, fetch, site, until, web, withSite } from './harness.js'

function assertRefusal(text: string, status: string): void {
  assert.match(text, new RegExp(`^HTTP/1.1 ${status}\r\n`))
  const [head, body] = text.split('\r\n\r\n') as [string, string]
  assert.match(head, '\r\nConnection: close')
  assert.is(Number(/Content-Length: (\d+)/.exec(head)?.[1]), body.length)
}

for (const [name, count, told] of [
  ['of several members, each is told once that a session is nobody’s', 2, 1],
  ['one member alone knows all its sessions', 1, 0],
] as const) {
  site(name, { count, env: { SESSIONS: 'no' } }, async ({ hub, port }) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    for (const sid of ['x'.repeat(20), 'y'.repeat(20)]) await fetch(port, `/socket.io/?EIO=4&sid=${sid}`, { agent })
    const id = (await fetch(port, '/who', { agent })).body
    const warnings = await hub.to(id).request('warnings')
    assert.is(warnings.length, told, String(warnings))
    for (const warning of warnings) assert.match(warning, /Call attachSocketIo\(io, hub\) in every worker/)
    agent.destroy()
  })
}

site('a request line that is too long is answered 431', { maxRequestLine: 1000 }, async ({ port }) => {
  const client = new Client(port)
  await client.write(`GET /${'x'.repeat(600)}`)
  await client.write('x'.repeat(600))
  await client.until(() => client.ended, 'no end')
  assertRefusal(client.received, '431 Request Header Fields Too Large')
  client.destroy()
  // Complete at once, it is the worker's business.
  assert.is((await fetch(port, `/${'x'.repeat(2000)}`)).status, 200)
})

site(
  'a head that is too long is answered 431, where the head is read',
  { maxRequestLine: 500, sticky: { cookie: 'a' } },
  async ({ port }) => {
    const client = new Client(port)
    await client.write('GET / HTTP/1.1\r\n')
    await client.write(`X: ${'x'.repeat(600)}`)
    await client.until(() => client.ended, 'no end')
    assertRefusal(client.received, '431 Request Header Fields Too Large')
    client.destroy()
  },
)

site(
  'a request line that takes too long is answered 408; silence is closed silently',
  { headTimeout: 200 },
  async ({ port }) => {
    const slow = new Client(port)
    const silent = new Client(port)
    await slow.write('GET /wh')
    await Promise.all([slow, silent].map((client) => client.until(() => client.ended || client.closed, 'no end')))
    assertRefusal(slow.received, '408 Request Timeout')
    assert.is(silent.received, '')
    slow.destroy()
    silent.destroy()
  },
)

site(
  'nothing is read in the primary while nobody has sessions',
  { count: 1, env: { SESSIONS: 'no' } },
  async ({ hub, port }) => {
    const open = () => hub.to('web-1').request('open')
    const unread = new Client(port)
    await untilTrue(async () => (await open()) === 1, 'the worker has a connection that never said anything')
    // What the client says reaches the worker, however late it is.
    await unread.write('GET /w')
    await unread.write('ho HTTP/1.1\r\nHost: x\r\n\r\n')
    await unread.got(/web-1$/)
    await hub.to('web-1').request('act', 'attach')
    const silent = new Client(port)
    await silent.until(() => !silent.socket.connecting, 'no connection')
    assert.is(await new Client(port).who(), 'web-1')
    assert.is(await open(), 2, 'the one that has not asked yet is not there')
    assert.is(await silent.who(), 'web-1')
    unread.destroy()
    silent.destroy()
  },
)

test('by default 16 KiB of a request line are read, for 10 seconds', () =>
  withSite([{ role: 'web', exec: web }], {}, async ({ port, hub }) => {
    const line = `GET /${'x'.repeat(16_384 - 5)}`
    const [full, over] = [new Client(port), new Client(port)]
    await full.write(line)
    await over.write(`${line}x`)
    await over.until(() => over.ended, 'no end')
    assertRefusal(over.received, '431 Request Header Fields Too Large')
    await full.write('\n')
    await until(() => hub.stats().http?.routed === 1, 'it goes to the worker')
    const timers = takeTimers()
    try {
      const other = (await hub.listen({ port: 0, host: '127.0.0.1' })).address().port
      const [slow, quick] = [new Client(other), new Client(other)]
      await slow.write('GET /wh')
      await until(() => hub.stats().http?.reading === 1, 'it has come')
      await quick.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
      // What the other one wrote before has been read by then.
      await until(() => hub.stats().http?.routed === 2, 'a quick one goes to the worker')
      assert.is(hub.stats().http?.reading, 1)
      timers.clock = performance.now() + 10_000
      timers.end()
      timers.clock = undefined
      await slow.until(() => slow.ended, 'no end')
      assertRefusal(slow.received, '408 Request Timeout')
      for (const client of [slow, quick]) client.destroy()
    } finally {
      timers.giveBack()
    }
    for (const client of [full, over]) client.destroy()
  }))

site('what speaks TLS is not waited for, nor is anybody who speaks no HTTP', { count: 1 }, async ({ port }) => {
  const client = new Client(port)
  await client.write('\x16\x03\x01\x02')
  await client.got(/^HTTP\/1.1 400 Bad Request/)
  client.destroy()
})

test('those that wait are answered 503 when their port is closed', () =>
  withSite([], { waitTimeout: Number.POSITIVE_INFINITY }, async ({ port, hub, listening }) => {
    const client = new Client(port)
    await client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await until(() => hub.stats().http?.waiting === 1, 'it waits')
    await listening.close()
    await client.until(() => client.ended, 'no end')
    assertRefusal(client.received, '503 Service Unavailable')
    client.destroy()
  }))

test('a worker that is not ready yet gets no connections', () =>
  withSite([{ role: 'web', exec: web }], {}, async ({ port, hub }) => {
    const started = hub.fork({ id: 'late', role: 'web', exec: web, env: { READY: 'manual' } })
    started.catch(() => {})
    const knows = () => hub.stats().http?.workers.some(({ id }) => id === 'late') === true
    await until(knows, 'it serves')
    for (let i = 0; i < 6; i++) assert.is((await fetch(port, '/who')).body, 'web-1')
    await hub.stop('late')
    await started.catch(() => {})
  }))

site('clients that drip do not prolong their time', { headTimeout: 300 }, async ({ port }) => {
  const client = new Client(port)
  const drip = setInterval(() => client.write('x'), 50)
  await client.until(() => client.ended, 'no end')
  clearInterval(drip)
  assertRefusal(client.received, '408 Request Timeout')
  client.destroy()
})

test('connections wait for a worker that is ready', () =>
  withSite([{ role: 'web', exec: web }], {}, async ({ port, hub }) => {
    await hub.stop('web-1')
    const clients = Array.from({ length: 5 }, () => new Client(port))
    const answers = Promise.all(clients.map((client) => client.who()))
    await until(() => hub.stats().http?.waiting === 5, 'they wait')
    await hub.restart('web-1')
    assert.equal(await answers, Array(5).fill('web-1'))
    for (const client of clients) client.destroy()
  }))

test('connections that wait too long, or are too many, are answered 503', () =>
  withSite([], { maxWaiting: 2, waitTimeout: 300 }, async ({ port, hub }) => {
    const slow: string[] = []
    hub.lifecycle.on('slow', ({ id }, { queue }) => slow.push(`${id} ${queue}`))
    const clients: Client[] = []
    for (let i = 0; i < 2; i++) {
      const client = new Client(port)
      clients.push(client)
      await client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
      await until(() => hub.stats().http?.waiting === i + 1, 'it waits')
    }
    assert.equal(slow, [])
    const third = await fetch(port, '/')
    assert.is(third.status, 503)
    assert.is(third.headers['retry-after'], '1')
    assert.is(hub.stats().http?.waiting, 2, 'it did not take the place of another')
    await until(() => slow.length > 0, 'it is told')
    assert.equal(slow, ['primary connections'])
    for (const client of clients) {
      await client.until(() => client.ended, 'no end')
      assertRefusal(client.received, '503 Service Unavailable')
      assert.match(client.received, '\r\nRetry-After: 1\r\n')
      client.destroy()
    }
    assert.equal([hub.stats().http?.waiting, hub.stats().http?.rejected], [0, 3])
    // A body that nobody reads does not cost the answer.
    const posted = await fetch(port, '/', { method: 'POST', body: 'x'.repeat(200_000) })
    assert.is(posted.status, 503)
  }))

test('what has been read of connections that wait is bounded, whoever sends how much at once', () =>
  withSite([], { waitTimeout: 60_000, sticky: { cookie: 'id' } }, async ({ port, hub, listening }) => {
    const clients: Client[] = []
    const http = () => hub.stats().http as HttpStats
    const request = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n${'x'.repeat(60_000)}`
    // Of each as much is kept as came with its first read, which is for the kernel to say.
    while (http().rejected === 0 && clients.length < 4000) {
      const some = Array.from({ length: 50 }, () => new Client(port))
      clients.push(...some)
      await Promise.all(some.map((client) => client.write(request)))
      await until(() => http().waiting + http().rejected === clients.length, 'they wait or are refused')
      assert.ok(http().waitingBytes < (64 << 20) + 100_000, `${http().waitingBytes} bytes`)
    }
    assert.ok(http().rejected > 0, `${clients.length} connections, ${http().waitingBytes} bytes`)
    await listening.close()
    assert.equal([http().waiting, http().waitingBytes], [0, 0])
    for (const client of clients) client.destroy()
  }))

test('of too many connections that do not say enough, those go first that had most time to', async () => {
  let crowded = 0
  const read: string[] = []
  const reception = new Reception({
    part: 'line',
    maxRequestLine: 1000,
    headTimeout: 60_000,
    maxReading: 3,
    onRead: (handle, bytes) => {
      read.push(String(bytes))
      handle.close()
    },
    onRefuse: (handle) => handle.close(),
    onCrowded: () => crowded++,
  })
  const server = createRawServer((handle) => reception.receive(handle))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const clients: Client[] = []
  for (let i = 1; i <= 5; i++) {
    clients.push(new Client((server.address() as AddressInfo).port))
    await until(() => reception.size + crowded === i, 'it has come in')
  }
  assert.equal([reception.size, crowded], [3, 2])
  for (const first of clients.slice(0, 2)) await first.until(() => first.closed || first.ended, 'it is not closed')
  await clients[4]?.write('GET /last HTTP/1.1\r\n')
  await until(() => read.length === 1, 'the last one is read')
  assert.match(read[0] as string, /^GET \/last/)
  reception.close()
  server.close()
  for (const client of clients) client.destroy()
})

/** A port whose connections a reception reads, in this process. */
async function reading(headTimeout: number): Promise<{ reception: Reception; port: number; end(): void }> {
  const reception = new Reception({
    part: 'line',
    maxRequestLine: 1000,
    headTimeout,
    maxReading: 10,
    onRead: (handle) => handle.close(),
    onRefuse: (handle) => handle.close(),
    onCrowded: () => {},
  })
  const server = createRawServer((handle) => reception.receive(handle))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const end = () => {
    reception.close()
    server.close()
  }
  return { reception, port: (server.address() as AddressInfo).port, end }
}

interface Timers {
  /** Of those that were taken, in milliseconds. */
  readonly delays: number[]
  /** What `performance.now()` says; undefined: the time. */
  clock: number | undefined
  /** Ends the first one that was taken. */
  end(): void
  giveBack(): void
}

/** Timers of 9 seconds and more end when the test says so. */
function takeTimers(): Timers {
  const { setTimeout } = globalThis
  const { now } = performance
  const callbacks: (() => void)[] = []
  const timers: Timers = {
    delays: [],
    clock: undefined,
    end: () => callbacks.shift()?.(),
    giveBack() {
      globalThis.setTimeout = setTimeout
      performance.now = now
    },
  }
  const held = (callback: () => void, ms = 0) => {
    if (ms < 9000) return setTimeout(callback, ms)
    timers.delays.push(ms)
    callbacks.push(callback)
    return setTimeout(() => {}, 0)
  }
  globalThis.setTimeout = held as typeof setTimeout
  performance.now = () => timers.clock ?? now.call(performance)
  return timers
}

test('each connection has its own time to say enough, and all the time there is where that is asked', async () => {
  const timers = takeTimers()
  const { reception, port, end } = await reading(10_000)
  const endless = await reading(Number.POSITIVE_INFINITY)
  const clients: Client[] = []
  try {
    for (const clock of [0, 500]) {
      timers.clock = clock
      clients.push(new Client(port))
      await until(() => reception.size === clients.length, 'it comes')
    }
    const patient = new Client(endless.port)
    await until(() => endless.reception.size === 1, 'one comes that may take its time')
    assert.equal(timers.delays, [10_000])
    timers.clock = 10_000
    timers.end()
    assert.is(reception.size, 1, 'the other one has half a second left')
    const [first, second] = clients as [Client, Client]
    await first.until(() => first.ended || first.closed, 'it is not closed')
    timers.clock = 10_500
    await second.until(() => second.ended || second.closed, 'nor is that')
    assert.is(endless.reception.size, 1)
    patient.destroy()
  } finally {
    timers.giveBack()
    end()
    endless.end()
    for (const client of clients) client.destroy()
  }
})

test('connections that wait for a server that nobody has are told of, once', async () => {
  const warnings: string[] = []
  const listen = (warning: Error) => warnings.push(warning.message)
  process.on('warning', listen)
  try {
    await withSite([], { role: 'wbe' }, async ({ port, hub }) => {
      const clients = [new Client(port), new Client(port)]
      for (const client of clients) await client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
      await until(() => hub.stats().http?.waiting === 2, 'they wait')
      await until(() => warnings.length > 1, 'somebody is told')
      for (const client of clients) client.destroy()
    })
    assert.equal(warnings, [
      'hub.listen(): nobody has the role "wbe". No worker has one. Connections wait for hub.fork().',
      'hub.listen(): connections wait, and no member of role "wbe" serves HTTP. Call hub.serve(server) in its workers.',
    ])
  } finally {
    process.off('warning', listen)
  }
})

test('only workers of the role, and only those that serve, get connections', () =>
  withSite(
    [
      { role: 'web', exec: web },
      { role: 'api', exec: web },
      { id: 'idle', role: 'web', exec: web, env: { SERVE: 'no' } },
    ],
    { role: 'web' },
    async ({ port, hub }) => {
      for (let i = 0; i < 6; i++) assert.is((await fetch(port, '/who')).body, 'web-1')
      const other = await hub.listen({ port: 0, host: '127.0.0.1', role: 'api' })
      assert.is((await fetch(other.address().port, '/who')).body, 'api-1')
      await other.close()
    },
  ))

test('what cannot work is refused in words', async () => {
  const hub = await startHub({ signals: false })
  const refused = async (options: object, message: RegExp) => {
    try {
      await hub.listen(options as { port: number })
    } catch (error) {
      assert.instance(error, HubError)
      assert.is((error as HubError).code, 'ERR_INVALID_ARG_VALUE')
      assert.match((error as HubError).message, message)
      return
    }
    throw new Error(`${JSON.stringify(options)} was not refused`)
  }
  try {
    await refused({ port: 0, stickiness: 'ip' }, /unknown option "stickiness"/)
    await refused({}, /port must be/)
    await refused({ port: 70_000 }, /port must be/)
    await refused({ port: '80' }, /port must be .*, not "80"\. Convert it with Number\(\)\.$/)
    await refused(80 as unknown as object, /give an object of options, such as \{ port: 80 \}\.$/)
    await refused({ port: 0, sticky: 'sid' }, /sticky must be "socket.io", "ip"/)
    await refused({ port: 0, sticky: { cookie: 'a', header: 'b' } }, /sticky must be/)
    await refused({ port: 0, sticky: { cookies: 'a' } }, /unknown option "cookies"/)
    await refused({ port: 0, sticky: { header: 'a b' } }, /sticky must be/)
    await refused({ port: 0, path: 'socket.io' }, /path must be/)
    await refused({ port: 0, headTimeout: 0 }, /headTimeout/)
    await refused({ port: 0, maxWaiting: -1 }, /maxWaiting/)
    const taken = await hub.listen({ port: 0 })
    try {
      await hub.listen({ port: taken.address().port })
      throw new Error('the port was given twice')
    } catch (error) {
      assert.is((error as NodeJS.ErrnoException).code, 'EADDRINUSE')
      assert.match((error as Error).message, /^hub\.listen\(\): listen EADDRINUSE.* has this port\. End it, or choose/)
    }
    await taken.close()
    assert.throws(() => taken.address(), /closed/)
  } finally {
    await hub.close()
  }
  assert.is(await hub.listen({ port: 0 }).catch((error) => error.code), 'ERR_HUB_CLOSED')
  assert.throws(() => attachSocketIo(new Server(), hub), /this member's hub is closed\. Attach before/)
})

test.run()
