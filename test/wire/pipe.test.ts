import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import fc from 'fast-check'
import { test } from 'uvu'
import { type Batch, MARKER } from '#lib/wire/batch.js'
import { Pipe, PipeReader } from '#lib/wire/pipe.js'
import { units } from './fake-transport.js'

// Long enough for as many attachments as its frames could name.
const text = units(200).map((rest) => `${MARKER}${'\0'.repeat(32)}${rest}`)
const batches = fc.array(
  fc.record({ text, attachments: fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 4 }) }),
  { minLength: 1, maxLength: 6 },
)

/** Two ends of one stream. */
async function withStream(run: (near: Socket, far: Socket) => Promise<void>): Promise<void> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const near = connect((server.address() as { port: number }).port, '127.0.0.1')
  const [far] = (await once(server, 'connection')) as [Socket]
  try {
    await run(near, far)
  } finally {
    near.destroy()
    far.destroy()
    server.close()
  }
}

/** What a pipe writes for these batches. */
async function bytesOf(sent: readonly Batch[]): Promise<Buffer> {
  const chunks: Buffer[] = []
  await withStream(async (near, far) => {
    far.on('data', (chunk) => chunks.push(chunk))
    const pipe = new Pipe(near, () => {})
    for (const batch of sent) {
      await new Promise<void>((resolve, reject) => pipe.send(batch, (error) => (error ? reject(error) : resolve())))
    }
    near.end()
    await once(far, 'end')
  })
  return Buffer.concat(chunks)
}

const plain = ({ text, attachments }: Batch) => ({ text, attachments: attachments.map((one) => Buffer.from(one)) })

test('batches arrive as they were sent, however their bytes are cut into pieces', async () => {
  await fc.assert(
    fc.asyncProperty(batches, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), async (sent, sizes) => {
      const bytes = await bytesOf(sent)
      const read: Batch[] = []
      const reader = new PipeReader((one) => read.push(one()))
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const end = at + (sizes[i % sizes.length] as number)
        assert.ok(reader.push(Buffer.from(bytes.subarray(at, end))))
        at = end
      }
      assert.deepEqual(read.map(plain), sent.map(plain))
      // And in one piece.
      const whole: Batch[] = []
      assert.ok(new PipeReader((one) => whole.push(one())).push(bytes))
      assert.deepEqual(whole.map(plain), sent.map(plain))
    }),
    { numRuns: 60 },
  )
})

test('one of many megabytes is put together once, in the time of its length', async () => {
  const sent = { text: MARKER + '漢'.repeat(10_000_000), attachments: [new Uint8Array(5_000_000).fill(3)] }
  const bytes = await bytesOf([sent])
  let concatenations = 0
  const { concat } = Buffer
  Buffer.concat = (...args) => {
    concatenations++
    return concat(...args)
  }
  try {
    const read: Batch[] = []
    const reader = new PipeReader((one) => read.push(one()))
    for (let at = 0; at < bytes.length; at += 65_536) assert.ok(reader.push(bytes.subarray(at, at + 65_536)))
    assert.equal(read.length, 1)
    assert.ok(read[0]?.text === sent.text)
    assert.equal(Buffer.compare(read[0].attachments[0] as Uint8Array, sent.attachments[0] as Uint8Array), 0)
  } finally {
    Buffer.concat = concat
  }
  assert.ok(concatenations <= 3, `${concatenations} concatenations`)
})

for (const [what, bytes, why] of [
  ['text of an impossible length', [255, 255, 255, 255, 0, 0, 0, 0, 0], /4294967295 units/],
  ['more attachments than frames', [0, 0, 0, 20, 0, 0, 0, 0, 9], /20 units with 9 attachments/],
  [
    'attachments of an impossible length',
    [0, 0, 0, 20, 0, 0, 0, 0, 1, 255, 0, 0, 0],
    /attachments of 4278190080 bytes/,
  ],
  ['no marker', [0, 0, 0, 1, 0, 0, 0, 0, 0, 65], /no marker/],
] as const) {
  test(`a batch with ${what} is refused as soon as that is known, and the stream ends`, () =>
    withStream(async (near, far) => {
      let refused: unknown
      const told = new Promise<void>((resolve) => {
        new Pipe(near, (read) => {
          try {
            read()
          } catch (error) {
            refused = error
          }
          resolve()
        })
      })
      const closed = once(near, 'close')
      far.on('error', () => {})
      far.write(Uint8Array.from(bytes))
      await told
      await closed
      assert.equal((refused as { code: string }).code, 'ERR_HUB_PROTOCOL')
      assert.match((refused as Error).message, why)
    }))
}

test('a batch is told of once, also where one attachment is in it twice', () =>
  withStream(async (near, far) => {
    far.resume()
    const pipe = new Pipe(near, () => {})
    const bytes = new Uint8Array(10)
    let told = 0
    pipe.send({ text: MARKER + '\0'.repeat(32), attachments: [bytes, bytes] }, () => told++)
    await new Promise<void>((resolve) => pipe.send({ text: MARKER, attachments: [] }, () => resolve()))
    assert.equal(told, 1)
  }))

test('what is sent over a stream that is gone is told of, once each', () =>
  withStream(async (near, far) => {
    near.on('error', () => {})
    const pipe = new Pipe(near, () => {})
    far.destroy()
    near.destroy()
    const results = await Promise.all(
      [MARKER, `${MARKER}漢`].map((text) => new Promise((resolve) => pipe.send({ text, attachments: [] }, resolve))),
    )
    assert.ok(results.every((error) => error instanceof Error))
  }))

test.run()
