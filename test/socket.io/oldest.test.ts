// The oldest Socket.IO that the package allows, with the oldest adapter that it came with.
import fs from 'node:fs/promises'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import type { PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { CASES } from './cases.js'
import { type App, Servers, startPrimary } from './servers.js'

const OLDEST = 'socket.io-4-7'
const NAMESPACES = ['/', '/dynamic-7']

let hub: PrimaryHub<App>
let servers: Servers

test.before(async () => {
  hub = await startPrimary()
  servers = await Servers.start(hub, 'hubwire', 3, { SOCKET_IO: OLDEST }, 'oldest')
})
test.after(() => hub.close())

test('it is the one that package.json names', async () => {
  const read = async (file: URL) => JSON.parse(await fs.readFile(file, 'utf8'))
  const { peerDependencies } = await read(new URL('../../../package.json', import.meta.url))
  const entry = import.meta.resolve(OLDEST)
  assert.is(peerDependencies['socket.io'], `^${(await read(new URL('package.json', entry))).version}`)
  const adapter = createRequire(entry).resolve('socket.io-adapter')
  assert.is((await read(new URL('../package.json', pathToFileURL(adapter)))).version, '2.5.2')
})

for (const { name, fails = [], run } of CASES) {
  if (fails.includes('hubwire')) continue
  test(name, async () => {
    for (const nsp of NAMESPACES) {
      if (nsp.startsWith('/dynamic')) await Promise.all([0, 1, 2].map((server) => servers.connect(server, nsp)))
      servers.closeClients()
      await servers.idle(nsp)
      await run(servers, nsp).catch((error) => {
        throw Object.assign(error, { message: `in ${nsp}: ${error.message}` })
      })
      servers.closeClients()
    }
  })
}

test('all that reaches into it found what it expects', async () => {
  for (const server of [0, 1, 2]) assert.equal(await servers.run(server, ({ state }) => state.warnings), [])
})

test.run()
