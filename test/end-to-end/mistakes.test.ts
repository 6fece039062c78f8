import cluster from 'node:cluster'
import { inspect } from 'node:util'
import { isHubMessage, type PrimaryHub, startHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { failure, until, withHub } from './conditions.js'
import type { Mistakes } from './workers/mistakes.js'

const exec = new URL('./workers/mistakes.js', import.meta.url)

/** What workers tell the primary past the hub. */
async function withReports(run: (reports: Record<string, unknown>[]) => Promise<void>): Promise<void> {
  const reports: Record<string, unknown>[] = []
  const listener = (_worker: unknown, message: Record<string, unknown>) =>
    isHubMessage(message) || reports.push(message)
  cluster.on('message', listener)
  try {
    await run(reports)
  } finally {
    cluster.removeListener('message', listener)
  }
}

/** Runs on a hub that is the primary alone, untyped: as users of plain JavaScript have it. */
function alone(run: (hub: PrimaryHub) => Promise<void>): () => Promise<void> {
  return () => withHub({ workers: [] }, run)
}

for (const [event, origin] of [
  ['throw', 'uncaughtException'],
  ['reject', 'unhandledRejection'],
] as const) {
  test(`a listener that fails (${event}): the others still run, and it surfaces as Node.js has it surface`, () =>
    withReports((reports) =>
      withHub({ workers: [{ id: 'a', exec, env: { CATCH: '1' } }] }, async (hub) => {
        hub.to('a').emit(event, 'my fault')
        await until(() => reports.length === 2, 'both are told')
        assert.equal(
          reports.sort((one) => ('heard' in one ? -1 : 1)),
          [{ heard: 'my fault' }, { caught: 'my fault', origin }],
        )
      }),
    ))

  test(`… and where nobody catches it (${event}), the worker ends, and the primary says which, and how`, async () => {
    const warnings: string[] = []
    const note = ({ message }: Error) => warnings.push(message)
    process.on('warning', note)
    try {
      const workers = [{ id: 'bare', exec, backoff: { min: 1, max: 1 } }]
      await withHub({ workers }, async (hub) => {
        hub.to('bare').emit(event, 'my fault, on purpose')
        await until(() => hub.members.some(({ incarnation }) => incarnation === 2), 'it is restarted')
        await until(() => warnings.length > 0, 'the primary says so')
        assert.match(warnings[0] ?? '', /^"bare" ended with exit code 1; restart 1 follows/)
      })
    } finally {
      process.removeListener('warning', note)
    }
  })
}

test('a message above maxMessageBytes is refused at its sender, whoever that is', () =>
  withHub({ workers: [{ id: 'a', exec }], maxMessageBytes: 1000 }, async (plain) => {
    const hub = plain as unknown as PrimaryHub<Mistakes>
    hub.handle('length', (text) => text.length)
    assert.equal(await hub.to('a').request('send', 900), ['sent', 'sent'])
    const cure = /bytes, and at most 1000 \(maxMessageBytes\) travel at a time\. Send it in parts/
    const [event = '', input = ''] = await hub.to('a').request('send', 1001)
    assert.match(event, /^ERR_HUB_PAYLOAD: Cannot send event "large": it has 1003 /)
    assert.match(input, /^ERR_HUB_PAYLOAD: Cannot send the input of task "length": it has 1003 /)
    for (const text of [event, input]) assert.match(text, cure)
    const answer = await failure(hub.to('a').request('large', 1001))
    assert.is(answer.code, 'ERR_HUB_PAYLOAD')
    assert.match(answer.message, /^Cannot send the answer of task "large": it has 1003 /)
    assert.match(answer.message, cure)
    const binary = await failure(() => plain.emit('large', new Uint8Array(1001)))
    assert.match(binary.message, /^Cannot send event "large": it has 10\d\d bytes/)
    const io = attachSocketIo(new Server(), plain)
    const packet = await failure(() => io.emit('large', 'x'.repeat(1001)))
    assert.match(packet.message, /^Cannot send a packet of Socket\.IO to "\/": it has 10\d\d bytes/)
    await failure(() => io.timeout(1000).emitWithAck('large', 'x'.repeat(1001)))
  }))

test(
  'what can only be a mistake is refused, and the value that was given is shown',
  alone(async (hub) => {
    hub.handle('task', (input) => input)
    const loose = hub as unknown as Record<string, (...args: unknown[]) => unknown>
    const to = (target: unknown) => loose.to?.(target) as typeof loose
    const cases: [() => unknown, RegExp][] = [
      [() => hub.emit(''), /^The name of an event is empty\. Give it one\.$/],
      [() => hub.on('', () => {}), /^The name of an event is empty/],
      [() => hub.handle('', () => {}), /^The name of a task is empty/],
      [() => hub.delegate(''), /^The name of a task is empty/],
      [() => loose.emit?.(5), /^The name of an event must be a string, not 5\.$/],
      [() => loose.handle?.('x', 5), /^hub\.handle\("x", …\): the handler must be a function, not 5\.$/],
      [() => loose.onAny?.({}), /^hub\.onAny\(…\): the listener must be a function, not \{\}\.$/],
      [() => loose.to?.({}), /^hub\.to\(…\): the target must be an id, .* not \{\}\.$/],
      [() => loose.to?.(['a', null]), /^hub\.to\(\[…\]\): each id must be a string or a number, not null\.$/],
      [() => loose.drained?.({}), /^hub\.drained\(…\): the target must be an id/],
      [() => hub.timeout('5s' as unknown as number), /^\.timeout\("5s"\): give a positive number of milliseconds/],
      [() => hub.retry(-1), /^\.retry\(-1\): give a whole number from 0 to 255\.$/],
      [() => loose.signal?.('x'), /^\.signal\(…\): give an AbortSignal, not "x"\.$/],
      [
        () => to('primary').request?.('task', 1, 2),
        /^request\("task", …\): a task takes one input, and was given 2\. Put/,
      ],
      [() => loose.delegate?.('task', 1, 2, 3), /^delegate\("task", …\): a task takes one input, and was given 3\./],
      [() => to(['primary']).gather?.('task', 1, 2), /^gather\("task", …\): a task takes one input/],
    ]
    for (const [attempt, message] of cases) {
      const error = await failure(async () => attempt())
      assert.is(error.code, 'ERR_INVALID_ARG_VALUE', error.message)
      assert.match(error.message, message)
    }
    // What an application computes may be empty: nobody is meant, and nobody is reached.
    assert.is(hub.to([]).emit('news'), true)
    assert.equal(await hub.to([]).gather('task'), [])
    assert.equal(await hub.delegate('task', undefined), undefined)
  }),
)

test(
  'names that every object has are ordinary names of events and tasks',
  alone(async (hub) => {
    const heard: unknown[] = []
    hub.onAny((event, args) => heard.push([event, args]))
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
    for (const name of names) {
      assert.is((await failure(hub.delegate(name))).code, 'ERR_HUB_NO_HANDLER', name)
      hub.on(name, (value) => heard.push(value))
      hub.handle(name, (input) => input)
      assert.is(await hub.delegate(name, name), name)
      hub.emit(name, name)
    }
    await until(() => heard.length === names.length * 2, 'all events')
    assert.equal(
      heard,
      names.flatMap((name) => [[name, [name]], name]),
    )
  }),
)

test("a worker that calls what only the primary's hub can do is told where that belongs", () =>
  withHub({ workers: [{ id: 'a', exec }] }, async (plain) => {
    const hub = plain as unknown as PrimaryHub<Mistakes>
    for (const verb of ['fork', 'stop', 'restart', 'reload', 'scale', 'listen']) {
      const why = `hub.${verb}() is a call of the primary, and this is a worker. Call it on what startHub() returned.`
      assert.is(await hub.to('a').request('lead', verb), `ERR_INVALID_ARG_VALUE: ${why}`)
    }
  }))

test('when startHub() resolves, nobody is still starting', () =>
  withHub({ workers: [{ id: 'a', exec }] }, async (hub) => {
    assert.equal(
      hub.members.map(({ id, state }) => [id, state]),
      [
        ['primary', 'ready'],
        ['a', 'ready'],
      ],
    )
    const heard: unknown[] = []
    hub.emit('news', 1)
    hub.on('news', (value) => heard.push(value))
    await until(() => heard.length > 0, 'and it misses nothing that it registers at once')
  }))

test('… but a primary that is to say so itself', async () => {
  const hub = await startHub({ signals: false, ready: 'manual' })
  assert.equal(
    hub.members.map(({ state }) => state),
    ['starting'],
  )
  hub.ready()
  await until(() => hub.members[0]?.state === 'ready', 'it is ready')
  await hub.close()
})

test(
  'a hub is shown in one line, and not with all that it is made of',
  alone(async (hub) => {
    assert.is(inspect(hub), "PrimaryHub { id: 'primary', state: 'ready', members: 1 }")
    assert.is(inspect({ hub }), "{ hub: PrimaryHub { id: 'primary', state: 'ready', members: 1 } }")
    await hub.close()
    assert.match(inspect(hub), /state: 'closed'/)
  }),
)

test.run()
