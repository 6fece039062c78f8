import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs/promises'
import { request } from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

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
})

test.after(async () => {
  app?.kill('SIGKILL')
  await fs.rm(folder, { recursive: true, force: true })
})

/** The first code block of a language below a heading. */
function codeBelow(heading: string, language: string): string {
  const section = readme.slice(readme.indexOf(`\n## ${heading}\n`))
  for (const [, name, code] of section.matchAll(/^```(\w*)\n(.*?)^```$/gms)) if (name === language && code) return code
  throw new Error(`no ${language} block below "${heading}"`)
}

test('the quick start runs as pasted, does what the page says, and ends at Ctrl-C', async () => {
  await fs.writeFile(path.join(folder, 'app.mjs'), codeBelow('Quick start', 'js'))
  const child = spawn(process.execPath, ['app.mjs'], { cwd: folder, env: { ...process.env, PORT: '0' } })
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

  for (const line of [/^web-1 listens: /, /^web-2 listens: /, 'running: primary, web-1, web-2, 101'])
    await printed(line)
  const url = /curl (http:\S+)/.exec(output)?.[1] as string
  const answers = [await get(url), await get(url)]
  for (const [index, answer] of answers.entries()) {
    assert.match(answer, new RegExp(`^web-[12] had mail ${index + 1} sent\n$`))
    await printed(`101 sends a mail to ann, asked by ${answer.slice(0, 5)}`)
  }
  for (const id of ['web-1', 'web-2']) await printed(`${id} heard that ann got a mail`)
  assert.not.match(output, /warning|error/i)

  child.kill('SIGINT')
  assert.equal(await exit, [0, null], output)
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
