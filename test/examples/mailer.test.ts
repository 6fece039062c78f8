import { once } from 'node:events'
import { request } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { assertEndsCleanly, Example, endAll, freePort } from './example.js'

const MAIN = fileURLToPath(new URL('../../examples/mailer/main.js', import.meta.url))
// CommonJS is not compiled: it is run as it stands.
const MAIN_CJS = fileURLToPath(new URL('../../../examples/mailer/main.cjs', import.meta.url))

const TEA = { email: 'ann@shop.example', items: [{ name: 'tea', quantity: 2 }] }

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

const test = suite('examples/mailer')

test.after.each(endAll)

test('confirms orders with the ids that the mail server gave, and ends without a trace', async () => {
  const example = await Example.start(MAIN)
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
  const example = await Example.start(MAIN)
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
  const example = await Example.start(MAIN)
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
