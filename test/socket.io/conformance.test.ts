import fs from 'node:fs/promises'
import type { PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { CASES } from './cases.js'
import { ADAPTERS, type AdapterName, type App, Servers, startPrimary } from './servers.js'

const NAMESPACES = ['/', '/chat', '/early', '/dynamic-7']
const TITLES: Record<AdapterName, string> = {
  memory: 'in memory, one server',
  cluster: '@socket.io/cluster-adapter',
  hubwire: 'hubwire/socket.io',
}

let hub: PrimaryHub<App>
const servers = new Map<AdapterName, Servers>()

test.before(async () => {
  hub = await startPrimary()
  const started = await Promise.all(ADAPTERS.map((adapter) => Servers.start(hub, adapter, 3)))
  for (const one of started) servers.set(one.adapter, one)
})
test.after(() => hub.close())

async function outcome(run: () => Promise<void>): Promise<Error | undefined> {
  try {
    await run()
    return undefined
  } catch (error) {
    return error as Error
  }
}

for (const { name, fails = [], run } of CASES) {
  for (const adapter of ADAPTERS) {
    const known = fails.includes(adapter)
    test(`${adapter}: ${name}${known ? ' (known not to)' : ''}`, async () => {
      const here = servers.get(adapter) as Servers
      // What is known to fail needs to do so once; what works must do so everywhere.
      for (const nsp of known ? ['/'] : NAMESPACES) {
        // Namespaces of clients' making are there once a client is.
        if (nsp.startsWith('/dynamic')) await Promise.all([0, 1, 2].map((server) => here.connect(server, nsp)))
        here.closeClients()
        await here.idle(nsp)
        const error = await outcome(() => run(here, nsp))
        here.closeClients()
        if (known) assert.ok(error, 'it works: the documentation says that it does not')
        else if (error) throw Object.assign(error, { message: `in ${nsp}: ${error.message}` })
      }
    })
  }
}

test('the documentation shows the outcome of these cases', async () => {
  const docs = await fs.readFile(new URL('../../../docs/socket.io.md', import.meta.url), 'utf8')
  const rows = [
    `| | ${ADAPTERS.map((adapter) => TITLES[adapter]).join(' | ')} |`,
    '|---|---|---|---|',
    ...CASES.map(({ name, fails = [] }) => {
      const cells = ADAPTERS.map((adapter) => (fails.includes(adapter) ? '**no**' : 'yes'))
      return `| ${name} | ${cells.join(' | ')} |`
    }),
  ]
  const table = rows.join('\n')
  if (!docs.includes(table)) throw new Error(`docs/socket.io.md must contain this table:\n\n${table}\n`)
})

test.run()
