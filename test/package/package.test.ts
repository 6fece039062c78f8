import { execFile } from 'node:child_process'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

const run = promisify(execFile)
// From build/test/package/ to the top.
const top = fileURLToPath(new URL('../../..', import.meta.url))

let folder: string
let files: string[]
let tarball: string

test.before(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'hubwire-package-'))
  // In a copy: packing builds dist anew, as users get it, which must not happen under the feet of other tests.
  const copy = path.join(folder, 'copy')
  for (const file of [...OTHERS, 'tsconfig.json', 'lib', 'docs']) {
    await fs.cp(path.join(top, file), path.join(copy, file), { recursive: true })
  }
  await fs.symlink(path.join(top, 'node_modules'), path.join(copy, 'node_modules'))
  const pack = ['pack', '--json', '--silent', '--pack-destination', folder]
  const { stdout } = await run('npm', pack, { cwd: copy, timeout: 120_000 })
  const [packed] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }]
  files = packed.files.map((file) => file.path)
  tarball = path.join(folder, packed.filename)
})

test.after(() => fs.rm(folder, { recursive: true, force: true }))

test('the package holds what users need, and nothing else', async () => {
  const strangers = files.filter(
    (file) =>
      !/^dist\/.+\.(js|js\.map|d\.ts)$/.test(file) && !/^docs\/[\w.]+\.md$/.test(file) && !OTHERS.includes(file),
  )
  assert.equal(strangers, [], 'strangers')
  for (const file of [...OTHERS, 'dist/index.js', 'dist/index.d.ts']) {
    assert.ok(files.includes(file), `${file} is missing`)
  }
  assert.equal(
    files.filter((file) => /test|bench|example|tsbuildinfo/.test(file)),
    [],
    'tests and the like',
  )
})

const OTHERS = ['LICENSE', 'package.json', 'README.md', 'CHANGELOG.md', 'SECURITY.md']

test('the documents that the package’s documents name are in it, too', async () => {
  const links: string[] = []
  for (const file of files.filter((one) => one.endsWith('.md'))) {
    const text = await fs.readFile(path.join(top, file), 'utf8')
    for (const [, link = ''] of text.matchAll(/\]\(([^)#]+)[^)]*\)/g)) {
      if (!/^\w+:/.test(link)) links.push(path.posix.join(path.posix.dirname(file), link))
    }
  }
  assert.ok(links.includes('docs/semantics.md'))
  // What only who works on Hubwire needs stays in the repository, and so do the pictures.
  const absent = /^(CONTRIBUTING\.md$|examples\/|docs\/images\/)/
  const missing = links.filter((link) => !files.includes(link) && !absent.test(link))
  assert.equal(missing, [])
})

test('its modules are bundled: each file more is time that every process takes to start', () => {
  const modules = files.filter((file) => file.endsWith('.js'))
  assert.ok(modules.includes('dist/socket.io/index.js'))
  assert.is(modules.length, 3, `${modules}`)
})

// Written into the folder of a user who has installed the package.
const scripts = {
  // A hub alone: it serves a task, asks itself, and ends by itself once it is closed.
  'alone.mjs': `import { startHub } from 'hubwire'
const hub = await startHub()
hub.handle('double', (n) => n * 2)
console.log(await hub.to('primary').request('double', 21), await hub.delegate('double', 2))
await hub.close()
`,
  // With a worker: a request there, and an event back.
  'primary.mjs': `import { once } from 'node:events'
import { HubError, startHub } from 'hubwire'
const hub = await startHub({ workers: [{ id: 'a', exec: new URL('./worker.mjs', import.meta.url) }] })
const heard = once(hub, 'doubled')
console.log(await hub.to('a').request('double', 21), await heard)
console.log(await hub.to('a').request('triple').catch((error) => error instanceof HubError && error.code))
await hub.close()
`,
  'worker.mjs': `import { joinHub } from 'hubwire'
const hub = await joinHub()
hub.handle('double', (n, { from }) => {
  hub.to(from.id).emit('doubled', n)
  return n * 2
})
`,
  'primary.cjs': `const { once } = require('node:events')
const path = require('node:path')
const { HubError, startHub } = require('hubwire')
async function main() {
  const hub = await startHub({ workers: [{ id: 'a', exec: path.join(__dirname, 'worker.cjs') }] })
  const heard = once(hub, 'doubled')
  console.log(await hub.to('a').request('double', 21), await heard)
  console.log(await hub.to('a').request('triple').catch((error) => error instanceof HubError && error.code))
  await hub.close()
}
main()
`,
  'worker.cjs': `const { joinHub } = require('hubwire')
async function main() {
  const hub = await joinHub()
  hub.handle('double', (n, { from }) => {
    hub.to(from.id).emit('doubled', n)
    return n * 2
  })
}
main()
`,
}

const runs: [entry: string, prints: string][] = [
  ['alone.mjs', '42 4\n'],
  ['primary.mjs', '42 [ 21 ]\nERR_HUB_NO_HANDLER\n'],
  ['primary.cjs', '42 [ 21 ]\nERR_HUB_NO_HANDLER\n'],
]

// Types that were not found would be any, and then nothing would be wrong here.
const typed = `import { HubError, joinHub, startHub, type PrimaryHub, type WorkerHub } from 'hubwire'
interface App {
  events: { news: (id: number) => void }
  tasks: { double: (n: number) => number }
}
export async function primary(): Promise<number> {
  const hub: PrimaryHub<App> = await startHub<App>({ workers: [{ role: 'web', count: 2 }] })
  hub.emit('news', 1)
  // @ts-expect-error no string
  hub.emit('news', 'one')
  // @ts-expect-error no such option
  await startHub<App>({ wrokers: [] })
  const doubled = await hub.timeout(5).delegate('double', 2)
  // @ts-expect-error a number
  const text: string = doubled
  return text.length + doubled
}
export async function worker(): Promise<void> {
  const hub: WorkerHub<App> = await joinHub<App>()
  hub.handle('double', (n, { signal, from }) => (signal.aborted || from.id === 'a' ? 0 : n * 2))
  // @ts-expect-error not what the task answers
  hub.handle('double', () => 'two')
}
export const isHubError = (error: unknown): error is HubError => error instanceof HubError
`

// With Socket.IO installed beside it.
const servers = {
  'server.mjs': `import { startHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
const hub = await startHub()
const io = attachSocketIo(new Server(), hub)
console.log(await io.of('/').adapter.serverCount())
await hub.close()
`,
  'server.cjs': `const { startHub } = require('hubwire')
const { attachSocketIo } = require('hubwire/socket.io')
const { Server } = require('socket.io')
async function main() {
  const hub = await startHub()
  const io = attachSocketIo(new Server(), hub)
  console.log(await io.of('/').adapter.serverCount())
  await hub.close()
}
main()
`,
}

const typedServer = `import { startHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
interface Events {
  news: (id: number) => void
}
export async function main(): Promise<void> {
  const hub = await startHub()
  const io: Server<Events, Events> = attachSocketIo(new Server<Events, Events>(), hub)
  io.emit('news', 1)
  // @ts-expect-error no string
  io.emit('news', 'one')
  // @ts-expect-error no hub
  attachSocketIo(io, {})
}
`

let user: string

test('it installs into an empty folder, and brings no other package', async () => {
  user = path.join(folder, 'user')
  await fs.mkdir(user)
  await fs.writeFile(path.join(user, 'package.json'), '{ "private": true }')
  const install = ['install', '--offline', '--no-audit', '--no-fund', tarball]
  await run('npm', install, { cwd: user, timeout: 60_000 })
  const installed = await fs.readdir(path.join(user, 'node_modules'))
  assert.equal(
    installed.filter((name) => !name.startsWith('.')),
    ['hubwire'],
  )
})

test('installed it works from ESM and from CommonJS, with workers, without a flag or a warning', async () => {
  for (const [file, source] of Object.entries(scripts)) await fs.writeFile(path.join(user, file), source)
  // Flags of this run are not the user's.
  const { NODE_OPTIONS, ...env } = process.env
  for (const [entry, prints] of runs) {
    const { stdout, stderr } = await run(process.execPath, [entry], { cwd: user, env, timeout: 20_000 })
    assert.is(stdout, prints, entry)
    assert.is(stderr, '', entry)
  }
})

test('installed its types are found, and right, with every module resolution of Node.js', async () => {
  await checkTypes('app', typed)
})

test('with Socket.IO beside it hubwire/socket.io works from both, and has its types', async () => {
  await fs.symlink(path.join(top, 'node_modules/socket.io'), path.join(user, 'node_modules/socket.io'))
  const { NODE_OPTIONS, ...env } = process.env
  for (const [file, source] of Object.entries(servers)) {
    await fs.writeFile(path.join(user, file), source)
    const { stdout, stderr } = await run(process.execPath, [file], { cwd: user, env, timeout: 20_000 })
    assert.is(stdout, '1\n', file)
    assert.is(stderr, '', file)
  }
  await checkTypes('server', typedServer)
})

/** Compiles a source of the user's as ES module and as CommonJS. */
async function checkTypes(name: string, source: string): Promise<void> {
  // From CommonJS only nodenext knows that an ES module may be required.
  const projects = [
    { module: 'node16', files: [`${name}.mts`] },
    { module: 'nodenext', files: [`${name}.mts`, `${name}.cts`] },
  ]
  for (const file of projects[1]?.files ?? []) await fs.writeFile(path.join(user, file), source)
  const tsc = path.join(top, 'node_modules/typescript/bin/tsc')
  for (const { module, files } of projects) {
    const config = path.join(user, `tsconfig.${module}.json`)
    const compilerOptions = {
      noEmit: true,
      strict: true,
      target: 'es2022',
      module,
      moduleResolution: module,
      // A user would have installed it, too. That of the repository is as good.
      types: ['node'],
      typeRoots: [path.join(top, 'node_modules/@types')],
    }
    await fs.writeFile(config, JSON.stringify({ compilerOptions, files }))
    // What tsc finds stands in its stdout.
    const { stdout } = await run(process.execPath, [tsc, '-p', config], { cwd: user, timeout: 60_000 }).catch(
      (error: { stdout: string }) => error,
    )
    assert.is(stdout, '', module)
  }
}

test.run()
