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
  // Without scripts: dist was built for this run, and must not be built again under the feet of other tests.
  const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  const { stdout } = await run('npm', pack, { cwd: top, timeout: 60_000 })
  const [packed] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }]
  files = packed.files.map((file) => file.path)
  tarball = path.join(folder, packed.filename)
})

test.after(() => fs.rm(folder, { recursive: true, force: true }))

test('the package holds what users need, and nothing else', async () => {
  const strangers = files.filter(
    (file) =>
      !/^dist\/.+\.(js|js\.map|d\.ts)$/.test(file) && !['LICENSE', 'package.json'].includes(file) && !DOCS.has(file),
  )
  assert.equal(strangers, [], 'strangers')
  for (const file of ['LICENSE', 'package.json', ...DOCS, 'dist/index.js', 'dist/index.d.ts']) {
    assert.ok(files.includes(file), `${file} is missing`)
  }
  assert.equal(
    files.filter((file) => /test|bench|example|tsbuildinfo/.test(file)),
    [],
    'tests and the like',
  )
})

const DOCS = new Set(['README.md', 'CHANGELOG.md'])

test('every module in the package has a source: nothing stale is shipped', async () => {
  const stale: string[] = []
  for (const file of files) {
    if (!file.startsWith('dist/') || !file.endsWith('.js')) continue
    const source = path.join(top, 'lib', file.slice('dist/'.length).replace(/\.js$/, '.ts'))
    await fs.access(source).catch(() => stale.push(file))
  }
  assert.equal(stale, [])
})

// A hub alone: it serves a task, asks itself, and ends by itself once it is closed.
const body = `
  const hub = await startHub({ workers: [] })
  hub.handle('double', (n) => n * 2)
  console.log(await hub.to('primary').request('double', 21), await hub.delegate('double', 2))
  await hub.close()
`

const scripts = {
  'entry.mjs': `import { startHub, joinHub, HubError } from 'hubwire'
if (typeof joinHub !== 'function' || typeof HubError !== 'function') throw new Error('an export is missing')
${body}`,
  'entry.cjs': `const { startHub, joinHub, HubError } = require('hubwire')
if (typeof joinHub !== 'function' || typeof HubError !== 'function') throw new Error('an export is missing')
async function main() {${body}}
main()`,
}

test('installed into an empty folder it works from ESM and from CommonJS, without a flag or a warning', async () => {
  const user = path.join(folder, 'user')
  await fs.mkdir(user)
  await fs.writeFile(path.join(user, 'package.json'), '{ "private": true }')
  const install = ['install', '--offline', '--no-audit', '--no-fund', tarball]
  await run('npm', install, { cwd: user, timeout: 60_000 })
  const installed = await fs.readdir(path.join(user, 'node_modules'))
  assert.equal(
    installed.filter((name) => !name.startsWith('.')),
    ['hubwire'],
    'it brings no other package',
  )

  // Flags of this run are not the user's.
  const { NODE_OPTIONS, ...env } = process.env
  for (const [file, source] of Object.entries(scripts)) {
    await fs.writeFile(path.join(user, file), source)
    const { stdout, stderr } = await run(process.execPath, [file], { cwd: user, env, timeout: 20_000 })
    assert.is(stdout, '42 4\n', file)
    assert.is(stderr, '', file)
  }
})

test.run()
