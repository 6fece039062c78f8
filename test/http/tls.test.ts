// TLS that ends in the workers: the hub cannot see what is asked, and goes by the address.
import { X509Certificate } from 'node:crypto'
import fs from 'node:fs'
import https from 'node:https'
import { type ManagerOptions, io as open, type Socket, type SocketOptions } from 'socket.io-client'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { addressOf } from '#lib/http/session-id.js'
import { type Site, until, withSite } from './harness.js'
import { tlsFile } from './tls.js'
import type { Answer } from './workers/secure.js'

const exec = new URL('./workers/secure.js', import.meta.url)
const key = fs.readFileSync(tlsFile('key'))
const cert = fs.readFileSync(tlsFile('cert'))
const HOST = '127.0.0.1'

function secure(name: string, body: (site: Site) => Promise<void>): void {
  test(name, () => withSite([{ role: 'web', count: 3, exec }], {}, body))
}

/** One request from that address of this machine, on a connection of its own. */
function ask(
  port: number,
  localAddress: string,
  options: https.RequestOptions = {},
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const request = https.get({ host: HOST, port, ca: cert, agent: false, localAddress, ...options }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (chunk) => {
        body += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode as number, body }))
    })
    request.on('error', reject)
  })
}

async function remote(port: number, localAddress: string, options: https.RequestOptions = {}): Promise<Answer> {
  return JSON.parse((await ask(port, localAddress, options)).body) as Answer
}

/** An address of this machine for each of the workers, by the worker's id. */
async function addresses(port: number): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (let n = 2; found.size < 3; n++) {
    assert.ok(n < 60, 'addresses are spread over the workers')
    const address = `127.0.0.${n}`
    const { id } = await remote(port, address)
    if (!found.has(id)) found.set(id, address)
  }
  return found
}

secure('connections are routed by their address, and keep it, with all of TLS', async ({ port }) => {
  for (const [id, address] of await addresses(port)) {
    for (let i = 0; i < 3; i++) {
      assert.equal(await remote(port, address), { id, remoteAddress: address, protocol: 'TLSv1.3' })
    }
    const { fingerprint } = await remote(port, address, { key, cert })
    assert.is(fingerprint, new X509Certificate(cert).fingerprint256)
  }
})

secure('a session that another worker has is found by forwarding', async ({ port }) => {
  const [[, home], [, elsewhere]] = [...(await addresses(port))] as [[string, string], [string, string]]
  const poll = '/socket.io/?EIO=4&transport=polling'
  const { sid } = JSON.parse((await ask(port, home, { path: poll })).body.slice(1))
  const path = `${poll}&sid=${sid}`
  const waiting = ask(port, elsewhere, { path })
  // There are no headers that say how it came.
  const posted = await new Promise<number>((resolve, reject) => {
    const options = { host: HOST, port, path, ca: cert, agent: false as const, localAddress: elsewhere, method: 'POST' }
    const request = https.request(options, (response) => {
      response.resume()
      resolve(response.statusCode as number)
    })
    request.on('error', reject)
    request.end('40')
  })
  assert.is(posted, 200)
  const { status, body } = await waiting
  assert.is(status, 200)
  assert.match(body, /^40\{"sid"/)
  // A process that is none of this hub's has no sessions.
  const unknown = await ask(port, elsewhere, { path: `${poll}&sid=zzz.${'x'.repeat(20)}` })
  assert.equal([unknown.status, JSON.parse(unknown.body).message], [400, 'Session ID unknown'])
})

type Options = Partial<ManagerOptions & SocketOptions>

for (const transport of ['polling', 'websocket', 'upgrading'] as const) {
  secure(`Socket.IO clients over TLS: ${transport}`, async ({ port }) => {
    const places = [...(await addresses(port))]
    const agents: https.Agent[] = []
    // As Node's agents go to socket.io-client, which types them as those of a browser.
    const agentAt = (localAddress: string) => {
      const agent = new https.Agent({ localAddress, ca: cert })
      agents.push(agent)
      return agent as unknown as string
    }
    const sockets: Socket[] = []
    try {
      for (const [n, [id, address]] of places.entries()) {
        const [, elsewhere] = places[(n + 1) % places.length] as [string, string]
        const options: Options = {
          forceNew: true,
          reconnection: false,
          agent: agentAt(address),
          transports: transport === 'upgrading' ? ['polling', 'websocket'] : [transport],
        }
        // The upgrade comes from another address, and so to another worker.
        if (transport === 'upgrading') options.transportOptions = { websocket: { agent: agentAt(elsewhere) } }
        const socket = open(`https://${HOST}:${port}`, options)
        sockets.push(socket)
        await until(() => socket.connected, 'it connects')
        const last = transport === 'polling' ? 'polling' : 'websocket'
        await until(() => socket.io.engine.transport.name === last, 'it upgrades')
        const home = await new Promise((resolve) => socket.emit('where', (...where: unknown[]) => resolve(where)))
        assert.equal(home, [id, address])
        assert.type(addressOf(socket.io.engine.id as string), 'number')
        const bytes = Buffer.alloc(1_500_000, `${id} `)
        const [echoed] = await Promise.all([socket.emitWithAck('echo', bytes), socket.emitWithAck('echo', 1)])
        assert.ok(bytes.equals(Buffer.from(echoed)))
      }
      let heard = 0
      for (const socket of sockets) socket.on('shout', () => heard++)
      for (const socket of sockets) socket.emit('shout', 1)
      await until(() => heard === 9, 'all hear each other')
      assert.ok(sockets.every(({ connected }) => connected))
    } finally {
      for (const socket of sockets) socket.disconnect()
      for (const agent of agents) agent.destroy()
    }
  })
}

secure('connections cannot be handed over at a reload: they end with an answer that says so', async ({ hub, port }) => {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: cert })
  const statuses: number[] = []
  let reloading = true
  const client = (async () => {
    while (reloading) statuses.push((await ask(port, '127.0.0.3', { agent })).status)
  })()
  await hub.reload({ concurrency: 3 })
  reloading = false
  await client
  agent.destroy()
  assert.ok(statuses.length > 0)
  assert.ok(statuses.every((status) => status === 200))
})

test.run()
