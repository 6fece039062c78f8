import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs/promises'
import { request } from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { io } from 'socket.io-client'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { freePort } from './examples/example.js'

// From build/test/ to the top.
const top = fileURLToPath(new URL('../..', import.meta.url))

let readme: string
let folder: string
let app: ChildProcess | undefined

test.before(async () => {
  readme = await fs.readFile(path.join(top, 'README.md'), 'utf8')
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'hubwire-readme-'))
  await fs.mkdir(path.join(folder, 'node_modules'))
  await fs.symlink(top, path.join(folder, 'node_modules', 'hubwire'))
  await fs.symlink(path.join(top, 'node_modules', 'socket.io'), path.join(folder, 'node_modules', 'socket.io'))
})

test.after(async () => {
  app?.kill('SIGKILL')
  await fs.rm(folder, { recursive: true, force: true })
})

/** The first code block of a language below a heading. */
function codeBelow(heading: string, language: string, page = readme): string {
  const section = page.slice(page.indexOf(`\n## ${heading}\n`))
  for (const [, name, code] of section.matchAll(/^```(\w*)\n(.*?)^```$/gms)) if (name === language && code) return code
  throw new Error(`no ${language} block below "${heading}"`)
}

/** Runs a file of the page, until it ends. */
async function start(file: string, code: string) {
  await fs.writeFile(path.join(folder, file), code)
  const child = spawn(process.execPath, [file], { cwd: folder, env: { ...process.env, PORT: '0' } })
  app = child
  const exit = once(child, 'exit')
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text
    })
  }
  const printed = async (line: string | RegExp) => {
    const end = Date.now() + 20_000
    while (!output.split('\n').some((printed) => (typeof line === 'string' ? printed === line : line.test(printed)))) {
      if (Date.now() > end || child.exitCode !== null) throw new Error(`"${line}" was not printed, but:\n${output}`)
      await sleep(20)
    }
  }
  return { child, exit, printed, output: () => output }
}

test('the quick start runs as pasted, does what the page says, and ends at Ctrl-C', async () => {
  const { child, exit, printed, output } = await start('app.mjs', codeBelow('Quick start', 'js'))
  for (const line of [/^web-1 listens: /, /^web-2 listens: /, 'running: primary, web-1, web-2, 101'])
    await printed(line)
  const url = /curl (http:\S+)/.exec(output())?.[1] as string
  const answers = [await get(url), await get(url)]
  for (const [index, answer] of answers.entries()) {
    assert.match(answer, new RegExp(`^web-[12] had mail ${index + 1} sent\n$`))
    await printed(`101 sends a mail to ann, asked by ${answer.slice(0, 5)}`)
  }
  for (const id of ['web-1', 'web-2']) await printed(`${id} heard that ann got a mail`)
  assert.not.match(output(), /warning|error/i)

  child.kill('SIGINT')
  assert.equal(await exit, [0, null], output())
})

test('the chat runs as pasted: its clients hear each other, whichever workers they are at', async () => {
  const { child, exit, printed, output } = await start('chat.mjs', codeBelow('HTTP and Socket.IO', 'js'))
  await printed(/^http:/)
  const url = output().trim()
  const clients = Array.from({ length: 4 }, () => io(url, { forceNew: true, transports: ['websocket'] }))
  try {
    await Promise.all(clients.map((client) => new Promise<void>((resolve) => client.once('connect', () => resolve()))))
    const heard = clients.map((client) => new Promise((resolve) => client.once('said', resolve)))
    const [first] = clients
    first?.emit('say', 'hello')
    assert.equal(await Promise.all(heard), Array(4).fill(`${first?.id}: hello`))
    assert.match(await get(url), /^hello from web-[1-4]\n$/)
  } finally {
    for (const client of clients) client.disconnect()
  }
  assert.not.match(output(), /warning|error/i)
  child.kill('SIGINT')
  assert.equal(await exit, [0, null], output())
})

test('the whole file of the migration guide runs as pasted', async () => {
  const guide = await fs.readFile(path.join(top, 'docs', 'migrating.md'), 'utf8')
  const code = codeBelow('From `@socket.io/sticky` and `@socket.io/cluster-adapter`', 'js', guide)
  const port = await freePort()
  assert.match(code, 'port: 3000')
  const { child, exit, output } = await start('app.cjs', code.replace('port: 3000', `port: ${port}`))
  // They try again until the port is open.
  const clients = Array.from({ length: 4 }, () => io(`http://localhost:${port}`, { forceNew: true }))
  try {
    await Promise.all(clients.map((client) => new Promise<void>((resolve) => client.once('connect', () => resolve()))))
    const heard = clients.map((client) => new Promise((resolve) => client.once('chat', resolve)))
    clients[0]?.emit('chat', 'hello')
    assert.equal(await Promise.all(heard), Array(4).fill('hello'))
  } finally {
    for (const client of clients) client.disconnect()
  }
  assert.not.match(output(), /warning|error/i)
  child.kill('SIGINT')
  assert.equal(await exit, [0, null], output())
})

test('the two files that the page on HTTP begins with run as pasted', async () => {
  const page = await fs.readFile(path.join(top, 'docs', 'http.md'), 'utf8')
  const [primary = '', worker = ''] = Array.from(page.matchAll(/^```js\n(.*?)^```$/gms), ([, code]) => code)
  await fs.writeFile(path.join(folder, 'web.js'), worker)
  await fs.writeFile(path.join(folder, 'package.json'), '{ "type": "module" }')
  const port = await freePort()
  assert.match(primary, 'port: 3000')
  const { child, exit, printed, output } = await start(
    'http.js',
    `${primary.replace('port: 3000', `port: ${port}`)}console.log('listening')\n`,
  )
  await printed('listening')
  assert.match(await get(`http://localhost:${port}/`), /^hello from web-[1-4]$/)
  assert.not.match(output(), /warning|error/i)
  child.kill('SIGINT')
  assert.equal(await exit, [0, null], output())
})

test('what the page shows of the output is what the code prints', () => {
  const code = codeBelow('Quick start', 'js')
  const shown = codeBelow('Quick start', '')
  assert.match(shown, 'running: primary, web-1, web-2, 101')
  for (const words of ['running: ', ' listens: curl http://localhost:']) {
    assert.ok(code.includes(words) && shown.includes(words), words)
  }
})

test('links within the repository lead somewhere', async () => {
  const headings = new Set(
    [...readme.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  )
  for (const [, target = ''] of readme.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (target.startsWith('#')) assert.ok(headings.has(target.slice(1)), target)
    else if (!/^https?:/.test(target)) await fs.access(path.join(top, target.replace(/#.*/, '')))
  }
})

/** A connection for each request, so that none is kept alive at the end. */
function get(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { agent: false, timeout: 10_000 }, async (response) => {
      try {
        let text = ''
        for await (const chunk of response.setEncoding('utf8')) text += chunk
        resolve(text)
      } catch (error) {
        reject(error)
      }
    })
    outgoing.on('error', reject)
    outgoing.end()
  })
}

test.run()
