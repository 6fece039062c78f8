import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

const MAIN = fileURLToPath(new URL('../../examples/mailer/main.js', import.meta.url))
// CommonJS is not compiled: it is run as it stands.
const MAIN_CJS = fileURLToPath(new URL('../../../examples/mailer/main.cjs', import.meta.url))

const TEA = { email: 'ann@shop.example', items: [{ name: 'tea', quantity: 2 }] }

/** The example as a user runs it: a process, its output, and an address. */
class Example {
  readonly process: ChildProcess
  output = ''
  url = ''
  readonly #ended: Promise<number | string>

  constructor(main: string, env: Record<string, string>) {
    this.process = spawn(process.execPath, [main], { env: { ...process.env, ...env } })
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => {
        this.output += text
      })
    }
    this.#ended = once(this.process, 'exit').then(([code, signal]) => code ?? signal)
  }

  static async start(main = MAIN, env: Record<string, string> = {}): Promise<Example> {
    const example = new Example(main, { PORT: '0', ...env })
    running.add(example)
    example.url = (await example.matching(/listening on (http:\S+\d)/))[1] ?? ''
    return example
  }

  /** Waits until the output has it so many times; the last of them. */
  async matching(pattern: RegExp, times = 1): Promise<RegExpMatchArray> {
    const global = new RegExp(pattern, `${pattern.flags}g`)
    const patience = Date.now() + 20_000
    let ended = false
    while (true) {
      const found = [...this.output.matchAll(global)][times - 1]
      if (found) return found
      if (ended || Date.now() > patience)
        throw new Error(`${pattern} is not in the output ${times} times:\n${this.output}`)
      ended = this.process.exitCode !== null
      // When it has ended, what it wrote last may still be on its way.
      await sleep(ended ? 100 : 20)
    }
  }

  all(pattern: RegExp): string[] {
    return Array.from(this.output.matchAll(pattern), ([, group]) => group ?? '')
  }

  /** Every process that has written a line. */
  get pids(): number[] {
    return [...new Set(this.all(/ pid (\d+)/g).map(Number))]
  }

  async end(signal: NodeJS.Signals = 'SIGINT'): Promise<number | string> {
    this.process.kill(signal)
    return Promise.race([this.#ended, sleep(20_000, 'does not end', { ref: false })])
  }
}

const running = new Set<Example>()

/** One connection for each, so that the workers take turns. */
function post(url: string, body: string, method = 'POST'): Promise<{ status: number; body: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, agent: false }, async (response) => {
      try {
        let text = ''
        for await (const chunk of response.setEncoding('utf8')) text += chunk
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) })
      } catch (error) {
        reject(error)
      }
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

const order = (url: string, value: unknown = TEA) => post(`${url}/orders`, JSON.stringify(value))

async function assertEndsCleanly(example: Example): Promise<void> {
  const { pids } = example
  assert.ok(pids.length >= 3, example.output)
  assert.is(await example.end('SIGINT'), 0, example.output)
  assert.equal(pids.filter(isAlive), [], example.output)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const test = suite('examples/mailer')

test.after.each(() => {
  for (const example of running) {
    for (const pid of [example.process.pid, ...example.pids])
      if (pid !== undefined && isAlive(pid)) process.kill(pid, 'SIGKILL')
  }
  running.clear()
})

test('confirms orders with the ids that the mail server gave, and ends without a trace', async () => {
  const example = await Example.start()
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, n) => order(example.url, { ...TEA, email: `customer-${n}@shop.example` })),
  )
  for (const { status, body } of answers) assert.is(status, 201, JSON.stringify(body))

  const messageIds = answers.map(({ body }) => body.messageId)
  assert.is(new Set(messageIds).size, answers.length)
  await example.matching(/accepted/, answers.length)
  const accepted = new Map(
    Array.from(example.output.matchAll(/accepted (\S+) for (\S+)/g), ([, id, address]) => [id, address]),
  )
  for (const [n, id] of messageIds.entries()) assert.is(accepted.get(String(id)), `customer-${n}@shop.example`)

  const takenBy = new Map(answers.map(({ body }) => [body.order, body.takenBy]))
  assert.equal(new Set(takenBy.values()), new Set(['web-1', 'web-2']))
  await example.matching(/heard of order/, answers.length)
  for (const [id, taker] of takenBy) {
    const heard = example.all(new RegExp(`^(web-\\d) .*heard of order ${id}$`, 'gm'))
    assert.equal(heard, [taker === 'web-1' ? 'web-2' : 'web-1'])
  }
  await assertEndsCleanly(example)
})

test('says what is wrong with an order', async () => {
  const example = await Example.start()
  const wrong = await order(example.url, { email: 'ann', items: [{ name: 'tea', quantity: 0 }] })
  assert.is(wrong.status, 400)
  assert.equal(
    (wrong.body.problems as { path: string }[]).map(({ path }) => path),
    ['email', 'items.0.quantity'],
  )
  assert.is((await post(`${example.url}/orders`, 'tea, please')).status, 400)
  assert.is((await post(`${example.url}/orders`, '')).status, 400)
  assert.is((await order(example.url, null)).status, 400)
  assert.is((await order(example.url, { ...TEA, note: 'x'.repeat(20_000) })).status, 413)
  assert.is((await post(`${example.url}/tea`, '')).status, 404)
  assert.is((await post(`${example.url}/orders`, '', 'PUT')).status, 405)
  assert.is((await post(example.url, '', 'GET')).status, 200)
  assert.equal(example.all(/(accepted|took order)/g), [])
  await assertEndsCleanly(example)
})

test('passes on why the mail server refused a recipient', async () => {
  const example = await Example.start()
  const { status, body } = await order(example.url, { ...TEA, email: 'nobody@refused.example' })
  assert.is(status, 502)
  assert.match(String(body.error), /550.*no such user/)
  assert.is((await order(example.url)).status, 201)
  await assertEndsCleanly(example)
})

test('says so when the mail server is down', async () => {
  const port = await freePort()
  const example = await Example.start(MAIN, { SMTP_URL: `smtp://127.0.0.1:${port}` })
  const { status, body } = await order(example.url)
  assert.is(status, 502)
  assert.match(String(body.error), /ECONNREFUSED/)
  await assertEndsCleanly(example)
})

test('says so when the port is taken', async () => {
  const server = createServer().listen(0)
  await once(server, 'listening')
  try {
    const { port } = server.address() as AddressInfo
    const example = new Example(MAIN, { PORT: String(port) })
    running.add(example)
    await example.matching(new RegExp(`Port ${port} is taken`))
    const [code] = example.process.exitCode === null ? await once(example.process, 'exit') : [example.process.exitCode]
    assert.is(code, 1, example.output)
  } finally {
    server.close()
  }
})

test('runs from a CommonJS entry file', async () => {
  const example = await Example.start(MAIN_CJS)
  const { status, body } = await order(example.url)
  assert.is(status, 201)
  await example.matching(new RegExp(`accepted ${body.messageId} for ${TEA.email}`))
  assert.not.match(example.output, /ExperimentalWarning/)
  await assertEndsCleanly(example)
})

test.run()

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
