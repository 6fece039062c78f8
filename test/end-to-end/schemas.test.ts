import { HubError, type PrimaryHub, type Schemas, startHub } from 'hubwire'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { schemas as arktype } from './schemas/arktype.js'
import { schemas as asynchronous } from './schemas/asynchronous.js'
import type { Shop } from './schemas/shop.js'
import { schemas as valibot } from './schemas/valibot.js'
import { schemas as zod } from './schemas/zod.js'

const SCHEMAS: Record<string, Schemas<Shop>> = { zod, valibot, arktype, asynchronous }
const exec = new URL('./workers/schemas.js', import.meta.url)

/**
 * A hub with two workers, one with schemas and one without; `schemas` are those of the primary, which is the sender in
 * most tests.
 */
async function withHub(
  library: string,
  schemas: 'with' | 'without',
  body: (hub: PrimaryHub<Shop>) => Promise<void>,
): Promise<void> {
  const hub = await startHub<Shop>({
    signals: false,
    schemas: schemas === 'with' ? (SCHEMAS[library] ?? {}) : {},
    workers: [
      { id: 'checked', exec, env: { SCHEMAS: library } },
      { id: 'plain', exec, env: { SCHEMAS: undefined } },
    ],
  })
  try {
    await body(hub)
  } finally {
    await hub.close()
  }
}

async function refusal(attempt: () => unknown): Promise<HubError> {
  try {
    await attempt()
  } catch (error) {
    assert.instance(error, HubError)
    assert.is((error as HubError).code, 'ERR_HUB_PAYLOAD')
    return error as HubError
  }
  throw new Error('it was not refused')
}

/** What the types would not let through. */
function wrong<T>(value: unknown): T {
  return value as T
}

const ANN = { id: 1, customer: 'ann' }
const TEA = { name: 'tea', quantity: 2 }

for (const library of ['zod', 'valibot', 'arktype']) {
  test(`${library}: what travels is the validated value, and nobody validates it a second time`, () =>
    withHub(library, 'with', async (hub) => {
      const heard: unknown[] = []
      hub.on('ordered', (order) => heard.push(order))
      hub.emit('ordered', ANN)
      hub.to(['checked', 'plain']).emit('ordered', ANN)
      hub.broadcast('ordered', ANN)
      for (const id of ['checked', 'plain']) {
        // The default is in the handler's input; the answer of either is validated once, there or here.
        const answer = await hub.to(id).request('price', wrong<typeof TEA>({ name: 'tea' }))
        assert.equal(answer, { total: 10.5 }, id)
        const { events, inputs, refused } = await hub.to(id).request('seen')
        assert.equal(events, Array(3).fill([{ id: 1, customer: 'ann!' }]), id)
        assert.equal(inputs, [{ name: 'tea!', quantity: 1 }], id)
        assert.is(refused, 0)
      }
      assert.equal(heard, [{ id: 1, customer: 'ann!' }])
      const gathered = await hub.to(['checked', 'plain']).gather('price', TEA)
      assert.equal(
        gathered.map((entry) => entry.status === 'fulfilled' && entry.value),
        [{ total: 20.5 }, { total: 20.5 }],
      )
      assert.equal(ANN, { id: 1, customer: 'ann' }, "the sender's own object stays as it was")
    }))

  test(`${library}: what fails is refused at the sender, with the paths, and nothing is sent`, () =>
    withHub(library, 'with', async (hub) => {
      hub.handle('price', () => ({ total: 0 }))
      const bad = wrong<typeof ANN>({ id: 'one', customer: 'ann' })
      const attempts: [string, () => unknown][] = [
        ['emit', () => hub.emit('ordered', bad)],
        ['broadcast', () => hub.broadcast('ordered', bad)],
        ['to.emit', () => hub.to('plain').emit('ordered', bad)],
      ]
      for (const [name, attempt] of attempts) {
        assert.throws(attempt, undefined, `${name} throws, it does not reject`)
        assert.match((await refusal(attempt)).message, /^The schema of event "ordered" refused .*args\[0\]\.id: /, name)
      }
      const item = wrong<typeof TEA>({ name: 'tea', quantity: 'two' })
      const calls: [string, () => Promise<unknown>][] = [
        ['request', () => hub.to('plain').request('price', item)],
        ['delegate', () => hub.delegate('price', item)],
        ['delegate to oneself', () => hub.to('primary').request('price', item)],
      ]
      for (const [name, call] of calls) {
        assert.match((await refusal(call)).message, /^The schema of task "price" refused .*input\.quantity: /, name)
      }
      assert.is(hub.stats().eventsSent, 0)
      assert.is(hub.stats().tasksServed, 0)
      assert.is(hub.stats().pendingCalls, 0)
      for (const id of ['checked', 'plain']) {
        const { events, any, inputs } = await hub.to(id).request('seen')
        assert.equal([events, any, inputs], [[], [], []], id)
      }
    }))

  test(`${library}: from a sender without schemas, the receiver validates and refuses`, () =>
    withHub(library, 'without', async (hub) => {
      hub.emit('ordered', wrong<typeof ANN>({ id: 'one', customer: 'ann' }))
      hub.emit('ordered', ANN)
      const error = await refusal(() =>
        hub.to('checked').request('price', wrong<typeof TEA>({ name: 'tea', quantity: 'two' })),
      )
      assert.match(error.message, /^The schema of task "price" refused .*input\.quantity: .*\(in member "checked"\)$/)
      assert.match(error.stack ?? '', 'at --- in member "checked" ---')
      assert.equal(await hub.to('checked').request('price', wrong<typeof TEA>({ name: 'tea' })), { total: 10.5 })

      const { events, any, inputs, refused, served } = await hub.to('checked').request('seen')
      assert.equal(events, [[{ id: 1, customer: 'ann!' }]])
      assert.equal(any, ['ordered'], 'a listener for all events does not see it either')
      assert.equal(inputs, [{ name: 'tea!', quantity: 1 }])
      assert.is(refused, 2)
      assert.is(served, 2, 'price and seen: what was refused was not served')

      const plain = await hub.to('plain').request('seen')
      assert.is(plain.events.length, 2, 'who has no schemas takes all')
      assert.is(plain.refused, 0)
    }))

  test(`${library}: outputs are refused where the handler runs, or else at the caller`, async () => {
    const riddle = { name: 'riddle', quantity: 1 }
    await withHub(library, 'without', async (hub) => {
      const error = await refusal(() => hub.to('checked').request('price', riddle))
      assert.match(
        error.message,
        /^The schema of task "price" refused its output: output\.total: .*in member "checked"/,
      )
      assert.equal(await hub.to('plain').request('price', riddle), { total: 'much' })
      assert.is(hub.stats().refusedPayloads, 0)
    })
    await withHub(library, 'with', async (hub) => {
      const error = await refusal(() => hub.to('plain').request('price', riddle))
      assert.match(error.message, /^The schema of task "price" refused its output: output\.total: /)
      assert.not.match(error.message, 'in member')
      assert.is(hub.stats().refusedPayloads, 1)
      assert.is(hub.stats().pendingCalls, 0)
    })
  })

  test(`${library}: it is the same between two workers`, () =>
    withHub(library, 'without', async (hub) => {
      assert.is(await hub.to('checked').request('ask', { id: 'plain', name: 'tea' }), '10.5')
      assert.is(await hub.to('plain').request('ask', { id: 'checked', name: 'tea' }), '10.5')
      for (const [asker, asked] of [
        ['checked', 'plain'],
        ['plain', 'checked'],
        ['checked', 'checked'],
      ] as const) {
        const message = await hub.to(asker).request('ask', { id: asked, name: 1 })
        assert.match(message, /^HubError: The schema of task "price" refused its input: input\.name: /)
      }
      for (const id of ['checked', 'plain']) {
        assert.equal((await hub.to(id).request('seen')).inputs, [{ name: 'tea!', quantity: 1 }], id)
      }
    }))
}

test('asynchronous schemas of tasks are awaited at the sender, within the timeout and the signal of the call', () =>
  withHub('asynchronous', 'with', async (hub) => {
    assert.is(await hub.to('checked').request('reserve', 'tea'), 'tea!!', 'once as input, once as output')
    assert.is(await hub.to('plain').request('reserve', 'tea'), 'tea!!')
    const error = await refusal(() => hub.to('plain').request('reserve', 'nothing'))
    assert.match(error.message, 'The schema of task "reserve" failed while it validated its input: no stock.')
    assert.is((error.cause as Error).message, 'no stock')

    const codes = await Promise.allSettled([
      hub.to('plain').timeout(50).request('reserve', 'never'),
      hub.to('plain').signal(AbortSignal.timeout(50)).request('reserve', 'never'),
    ])
    assert.equal(
      codes.map((entry) => entry.status === 'rejected' && entry.reason.code),
      ['ERR_HUB_TIMEOUT', 'ERR_HUB_ABORTED'],
    )
    assert.is(hub.stats().pendingCalls, 0)
    assert.equal((await hub.to('plain').request('seen')).inputs, ['tea!'])

    const pending = hub.to('plain').request('reserve', 'never')
    const closed = pending.catch((reason: HubError) => reason.code)
    await hub.close()
    assert.is(await closed, 'ERR_HUB_CLOSED')
  }))

test('asynchronous schemas of tasks are awaited at the receiver', () =>
  withHub('asynchronous', 'without', async (hub) => {
    assert.is(await hub.to('checked').request('reserve', 'tea'), 'tea!!')
    const error = await refusal(() => hub.to('checked').request('reserve', 'nothing'))
    assert.match(error.message, /"reserve" failed while it validated its input: no stock\..*\(in member "checked"\)$/)
    assert.is((error.cause as Error).message, 'no stock', 'the cause travels')
    const { inputs, refused } = await hub.to('checked').request('seen')
    assert.equal(inputs, ['tea!'])
    assert.is(refused, 1)
  }))

test('asynchronous schemas of events are refused, at the sender and at the receiver', async () => {
  await withHub('asynchronous', 'with', async (hub) => {
    const error = await refusal(() => hub.emit('audited', 'entry'))
    assert.match(error.message, 'The schema of event "audited" is asynchronous')
    assert.is(hub.stats().eventsSent, 0)
  })
  await withHub('asynchronous', 'without', async (hub) => {
    hub.emit('audited', 'entry')
    const { events, refused } = await hub.to('checked').request('seen')
    assert.equal(events, [])
    assert.is(refused, 1)
    assert.equal((await hub.to('plain').request('seen')).events, [['entry']])
  })
})

test('a receiver warns of refused events once for each name, and names the sender', async () => {
  const warnings: Error[] = []
  const note = (warning: Error) => warnings.push(warning)
  const hub = await startHub<Shop>({
    signals: false,
    schemas: zod,
    workers: [{ id: 'plain', exec, env: { SCHEMAS: undefined } }],
  })
  process.on('warning', note)
  try {
    const heard: unknown[] = []
    hub.on('ordered', (order) => heard.push(order))
    for (const order of [1, null, ANN]) await hub.to('plain').request('tell', { id: 'primary', order })
    assert.equal(heard, [{ id: 1, customer: 'ann!' }])
    assert.is(hub.stats().refusedPayloads, 2)
    assert.is(warnings.length, 1)
    assert.match(warnings[0]?.message ?? '', /^Event "ordered" from "plain" was dropped: The schema .* args\[0\]: /)
  } finally {
    process.off('warning', note)
    await hub.close()
  }
})

test('startHub and joinHub refuse what is no schema, by name', async () => {
  const bad = { events: { ordered: 1 } }
  const error = await startHub({ schemas: bad as object }).catch((reason: HubError) => reason)
  assert.instance(error, HubError)
  assert.is((error as HubError).code, 'ERR_INVALID_ARG_VALUE')
  assert.match((error as HubError).message, 'schemas.events.ordered')
  const hub = await startHub()
  await hub.close()
})

test.run()
