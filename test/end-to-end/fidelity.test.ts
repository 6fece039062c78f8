import assert from 'node:assert/strict'
import type { Hub } from 'hubwire'
import { test } from 'uvu'
import { rejection, until, withHub, worker } from './support.js'
import { VALUES } from './values.js'
import { AROUND, HARD_NAMES, LARGE_BINARY, LARGE_TEXT, takePart } from './workers/fidelity.js'

const OPTIONS = {
  workers: [
    { id: 'ann', exec: worker('fidelity') },
    { id: 'bob', exec: worker('fidelity') },
  ],
}
const PAIRS = [
  ['ann', 'bob'],
  ['primary', 'bob'],
  ['ann', 'primary'],
  ['ann', 'ann'],
  ['primary', 'primary'],
] as const

async function verdictOf(hub: Hub, id: string): Promise<{ seen: number; problems: string[] }> {
  return hub.to(id).request('verdict')
}

test(
  'every kind of value arrives as it was sent, in events, task inputs and answers',
  withHub(OPTIONS, async (hub) => {
    takePart(hub)
    const kinds = Object.keys(VALUES).length
    for (const [from, to] of PAIRS) {
      await hub.to(from).request('send everything', to)
      const verdicts = [await verdictOf(hub, from), ...(from === to ? [] : [await verdictOf(hub, to)])]
      const problems = verdicts.flatMap(({ problems }) => problems)
      assert.deepEqual(problems, [], `from ${from} to ${to}:\n${problems.join('\n')}`)
      const seen = verdicts.reduce((sum, verdict) => sum + verdict.seen, 0)
      assert.equal(seen, kinds * 6 + 4 + HARD_NAMES.length * 3, `from ${from} to ${to}`)
    }
  }),
)

test(
  'messages far larger than a batch arrive whole, and in their place among thousands of small ones',
  withHub(OPTIONS, async (hub) => {
    takePart(hub)
    const expected: unknown[] = Array.from({ length: AROUND }, (_, n) => n)
    expected.splice(2000, 0, `binary ${LARGE_BINARY} 7 7 true`)
    expected.splice(1000, 0, `text ${LARGE_TEXT - 1} true true`)
    for (const [from, to] of PAIRS) {
      await hub.to(from).request('send around', to)
      const arrived: unknown[] = []
      await until(async () => {
        arrived.push(...((await hub.to(to).request('around')) as unknown[]))
        return arrived.length >= expected.length
      }, 'all has arrived')
      assert.deepEqual(arrived, expected, `from ${from} to ${to}`)
    }
  }),
)

test(
  'large inputs and answers',
  withHub(OPTIONS, async (hub) => {
    takePart(hub)
    const text = '漢x'.repeat(LARGE_TEXT / 2)
    for (const id of ['ann', 'primary']) {
      assert.ok((await hub.to(id).request('echo', text)) === text)
      const bytes = new Uint8Array(LARGE_BINARY).fill(9)
      const answer = (await hub.to(id).request('echo', { bytes })) as { bytes: Uint8Array }
      assert.equal(Buffer.compare(answer.bytes, bytes), 0)
      assert.notEqual(answer.bytes.buffer, bytes.buffer)
    }
  }),
)

test(
  'received binary owns its memory',
  withHub(OPTIONS, async (hub) => {
    takePart(hub)
    for (const id of ['ann', 'primary']) {
      const bytes = new Uint8Array(10).fill(1)
      for (let i = 0; i < 20; i++) hub.to(id).emit('binary', bytes)
      const binaries = (await hub.to(id).request('binaries')) as number[][]
      assert.deepEqual(binaries, [[10, 10, 255], ...Array.from({ length: 19 }, () => [10, 10, 1])])
      assert.equal(bytes[0], 1)
    }
    // An answer, and several in one event.
    const answers = await Promise.all([1, 2, 3].map((n) => hub.to('bob').request('echo', new Uint8Array(50).fill(n))))
    for (const answer of answers as Uint8Array[]) assert.equal(answer.buffer.byteLength, 50)
  }),
)

test(
  'everybody gets a copy of their own, the sender included, and not before it has gone on',
  withHub({ workers: [] }, async (hub) => {
    const got: unknown[] = []
    const sent = { list: [1], bytes: new Uint8Array([1]), at: new Date(1) }
    const plain = { n: 1 }
    hub.on('copy', (value: { list: number[] }) => {
      got.push(value)
      value.list.push(99)
    })
    hub.on('plain', (value: { n: number }) => got.push(value))
    hub.handle('copy', (value: unknown) => {
      got.push(value)
      return value
    })
    hub.emit('copy', sent)
    hub.to('primary').emit('plain', plain)
    const answer = hub.to('primary').request('copy', sent)
    // What happens to it after it was sent is not seen any more.
    sent.list.push(2)
    sent.bytes[0] = 2
    plain.n = 2
    assert.deepEqual(got, [])
    await Promise.resolve()
    assert.deepEqual(got, [])
    const expected = { list: [1], bytes: new Uint8Array([1]), at: new Date(1) }
    assert.deepStrictEqual(await answer, expected)
    assert.deepStrictEqual(got, [{ ...expected, list: [1, 99] }, { n: 1 }, expected])
    assert.deepEqual(sent.list, [1, 2])
    assert.notEqual(await answer, got[2])
  }),
)

test(
  'a member that sends to itself for ever lets its event loop turn',
  withHub({ workers: [] }, async (hub) => {
    const LIMIT = 100_000
    let rounds = 0
    hub.handle('task', () => {})
    hub.on('again', () => {
      if (++rounds < LIMIT) hub.emit('again')
    })
    const ask = async () => {
      while (++rounds < LIMIT) await hub.to('primary').request('task')
    }
    hub.emit('again')
    const asked = ask()
    for (let turns = 0; turns < 100; turns++) await new Promise((resolve) => setTimeout(resolve))
    assert.ok(rounds > 10 && rounds < LIMIT, `${rounds} rounds`)
    rounds = LIMIT
    await asked
  }),
)

const UNCLONEABLE: [what: string, value: unknown, path: RegExp][] = [
  ['a function', { list: [1, { call: () => {} }] }, /\.list\[1\]\.call/],
  ['a symbol', { a: { b: Symbol('b') } }, /\.a\.b/],
  ['a function beside binary', { bytes: new Uint8Array(1), f() {} }, /\.f/],
  ['a promise', { p: Promise.resolve(1) }, /\.p/],
  ['a WeakMap', [new WeakMap()], /\[0\]/],
  ['a toJSON of its own', { value: { toJSON() {} } }, /\.value\.toJSON/],
]

test(
  'what cannot be cloned is refused at the sender, at once, with its path, and nothing is sent',
  withHub(OPTIONS, async (hub) => {
    takePart(hub)
    const arrived: string[] = []
    hub.onAny((event) => arrived.push(event))
    // Until the hub has been told of the listeners.
    await hub.drained()
    for (const [what, value, path] of UNCLONEABLE) {
      const refused = (error: unknown) => {
        const { code, message } = error as Error & { code: string }
        assert.equal(code, 'ERR_HUB_PAYLOAD', what)
        assert.match(message, path, what)
        return true
      }
      const before = hub.stats()
      assert.throws(() => hub.emit('bad', 1, value), refused)
      assert.throws(
        () => hub.emit('bad', 1, value),
        (error) => /args\[1\]/.test((error as Error).message),
      )
      assert.throws(() => hub.broadcast('bad', value), refused)
      assert.throws(() => hub.to(['ann', 'primary']).emit('bad', value), refused)
      refused(await rejection(hub.to('ann').request('echo', value)))
      refused(await rejection(hub.delegate('echo', value)))
      assert.deepEqual(hub.stats().eventsSent, before.eventsSent)
      assert.equal(hub.stats().pendingCalls, 0)
      assert.equal(hub.stats().queuedBytes, before.queuedBytes)
    }
    await hub.to('primary').request('echo')
    assert.deepEqual(arrived, [])
  }),
)

test(
  'an answer that cannot be cloned is an error at the caller, with its path',
  withHub({ workers: [] }, async (hub) => {
    hub.handle('bad', () => ({ a: [() => {}] }))
    const error = await rejection(hub.to('primary').request('bad'))
    assert.equal(error.code, 'ERR_HUB_PAYLOAD')
    assert.match(error.message, /\.a\[0\]/)
    assert.match(error.message, /the answer of task "bad"/)
    assert.equal(hub.stats().runningTasks, 0)
  }),
)

test.run()
