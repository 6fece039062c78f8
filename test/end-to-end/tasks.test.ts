import assert from 'node:assert/strict'
import { once } from 'node:events'
import { HubError, type PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import { have, isPending, link, rejection, server, until, withHub } from './hubs.js'
import type { Order } from './workers/library.js'

// A task answers exactly once.

const TASKS = { id: 'tasks', exec: new URL('./workers/tasks.js', import.meta.url) }
const LIMIT = 10_000

/** Runs with a longer patience than the test's own limit: whoever waits for a timeout is too late. */
async function promptly<T>(run: () => Promise<T>): Promise<T> {
  const begun = performance.now()
  const result = await run()
  assert.ok(performance.now() - begun < LIMIT, 'at once, and not after the timeout')
  return result
}

test('a value arrives as it was returned, from handlers of every kind', () =>
  withHub({ workers: [TASKS] }, async (hub) => {
    const give = (kind: string) => hub.to('tasks').request('give', kind)
    assert.equal(await give('undefined'), undefined)
    assert.equal(await give('null'), null)
    assert.deepEqual(await give('map'), new Map([['a', new Set([1n])]]))
    assert.deepEqual(await give('binary'), new Uint8Array([1, 2, 3]))
    assert.equal(await give('thenable'), 'from a thenable')
    assert.equal(await hub.to('tasks').request('what is undefined'), true)
    assert.equal(await hub.to('tasks').request('what is undefined', undefined), true)
    assert.equal(await hub.to('tasks').request('what is undefined', null), false)
    assert.equal(await hub.delegate('what is undefined'), true)
  }))

test('a handler’s error arrives as itself, and says where it was thrown', () =>
  withHub({ workers: [TASKS] }, async (hub) => {
    const fail = (kind: string) => rejection(hub.to('tasks').request('fail', kind))
    const custom = await fail('custom')
    assert.ok(custom instanceof Error && !(custom instanceof HubError))
    assert.equal(custom.name, 'PaymentError')
    assert.equal(custom.message, 'Too little money')
    const { code, missing, cause, stack } = custom as Error & { code: string; missing: object }
    assert.equal(code, 'E_FUNDS')
    assert.deepEqual(missing, { amount: 5n, currency: 'EUR' })
    assert.ok(cause instanceof RangeError && cause.message === 'balance is 3')
    const lines = stack?.split('\n') ?? []
    assert.equal(lines[0], 'PaymentError: Too little money')
    const remote = lines.indexOf('    at --- in member "tasks" ---')
    assert.ok(remote > 0, stack)
    assert.match(lines[remote + 1] as string, /end-to-end\/workers\/tasks\.js/)
    assert.match((cause as Error).stack as string, /in member "tasks"/)

    const type = await fail('type')
    assert.ok(type instanceof TypeError)
    assert.match(type.message, /undefined/)
    assert.equal((await fail('rejection')).message, 'later')
    const own = await fail('own')
    assert.deepEqual([own.name, own.code, own.message], ['HubError', 'ERR_HUB_OVERLOADED', 'my own'])
    assert.match(String(own.stack), /in member "tasks"/)

    assert.equal(await fail('string'), 'just a string')
    assert.equal(await fail('undefined'), undefined)
    assert.deepEqual(await fail('object'), { status: 404, at: new Date(0) })
  }))

test('an error says who waits for the call, whether it is the handler’s, the hub’s, or made at once', () =>
  withHub({ workers: [server('a', ['gate'])] }, async (hub) => {
    hub.handle('fail', () => {
      throw new TypeError('broken')
    })
    async function whoAsks(id: string, task: string): Promise<unknown> {
      return await hub.to(id).timeout(50).request(task)
    }
    const stackOf = async (id: string, task: string) => String((await rejection(whoAsks(id, task))).stack)
    assert.match(await stackOf('primary', 'fail'), /at async whoAsks \(.*--- in member "primary" ---/s)
    assert.match(await stackOf('a', 'gate'), /at async whoAsks \(/, 'a timeout')
    assert.match(await stackOf('a', 'nobody serves it'), /at async whoAsks \(/)
    const atOnce = await stackOf('nobody', 'x')
    assert.match(atOnce, /at whoAsks \(/)
    assert.ok(!atOnce.includes('async whoAsks'), 'and not twice')
  }))

test('an answer that cannot be sent is an error with its path', () =>
  withHub({ workers: [TASKS] }, async (hub) => {
    for (const [kind, path] of [
      ['function', 'answer.deep[0]'],
      ['late function', 'answer'],
    ] as const) {
      const error = await rejection(hub.to('tasks').request('give', kind))
      assert.ok(error instanceof HubError, kind)
      assert.equal(error.code, 'ERR_HUB_PAYLOAD')
      assert.ok(error.message.includes(`the answer of task "give": ${path} is a function`), error.message)
    }
    const error = await rejection(hub.to('tasks').request('give', { a: Symbol('s') }))
    assert.ok(error instanceof HubError)
    assert.match(error.message, /^Cannot send the input of task "give": input\.a is a symbol/)
    assert.equal(await hub.to('tasks').request('give', 'null'), null, 'and the handler goes on')
  }))

test('a timeout names the call and aborts the handler’s signal, for requests and delegations, from everywhere', () =>
  withHub({ workers: [server('caller'), server('a', ['hang'])] }, async (hub, { begun, aborted }) => {
    const request = { verb: 'request', to: 'a', task: 'hang', timeout: 30 } as const
    const delegate = { verb: 'delegate', task: 'hang', timeout: 30 } as const
    let key = 0
    for (const caller of ['primary', 'caller']) {
      for (const order of [request, delegate] as Order[]) {
        const { error } = await have(hub, caller, { ...order, input: ++key })
        assert.deepEqual([error?.code, error?.hub], ['ERR_HUB_TIMEOUT', true])
        const what = order.to ? 'Request "hang" to "a"' : 'Delegation of "hang"'
        assert.ok(error?.message.startsWith(`${what}: no answer within 30 ms.`), error?.message)
        assert.match(error?.message as string, /\.timeout\(ms\)/)
      }
    }
    await until(() => aborted.length === begun.length && link(hub, 'a').runningTasks === 0, 'all handlers were aborted')
    assert.equal(begun.length, 4)
    for (const { reason } of aborted) assert.equal(reason, 'ERR_HUB_ABORTED')
  }))

test('the hub’s own timeout is the default, and every call may have another', () =>
  withHub({ workers: [server('caller'), server('a', ['hang', 'context'])], timeout: 40 }, async (hub) => {
    assert.equal((await have(hub, 'caller', { verb: 'request', to: 'a', task: 'hang' })).error?.code, 'ERR_HUB_TIMEOUT')
    const error = await rejection(hub.to('a').request('hang'))
    assert.match(error.message, /within 40 ms/)
    const { deadline } = await hub.timeout(Number.POSITIVE_INFINITY).to('a').request('context')
    assert.equal(deadline, Number.POSITIVE_INFINITY)
  }))

test('a signal that is aborted before sends nothing; one that is aborted later aborts the handler’s', () =>
  withHub({ workers: [server('a', ['hang', 'echo'])] }, async (hub, { begun, aborted }) => {
    const reason = new Error('the user went away')
    const early = await rejection(hub.signal(AbortSignal.abort(reason)).to('a').request('hang', 'early'))
    assert.deepEqual([early.code, early.cause], ['ERR_HUB_ABORTED', reason])
    assert.match(early.message, /^Request "hang" to "a"/)

    const controller = new AbortController()
    const call = rejection(hub.to('a').signal(controller.signal).request('hang', 'late'))
    await until(() => begun.length > 0, 'it has begun')
    controller.abort(reason)
    const late = await call
    assert.ok(late instanceof HubError)
    assert.deepEqual([late.code, late.cause], ['ERR_HUB_ABORTED', reason])
    await until(() => aborted.length > 0, 'the handler was aborted')
    assert.deepEqual(
      begun.map(({ key }) => key),
      ['late'],
    )
    assert.equal(await hub.signal(new AbortController().signal).to('a').request('echo', 1), 1)
  }))

test('a handler is aborted when its caller’s process ends', () =>
  withHub({ workers: [server('caller', ['exit']), server('a', ['hang'])] }, async (hub, { begun, aborted }) => {
    const call = have(hub, 'caller', { verb: 'request', to: 'a', task: 'hang', input: 1 })
    await until(() => begun.length === 1, 'it has begun')
    assert.equal((await rejection(hub.to('caller').request('exit', 0))).code, 'ERR_HUB_MEMBER_EXITED')
    assert.equal((await rejection(call)).code, 'ERR_HUB_MEMBER_EXITED')
    await until(() => aborted.length === 1, 'the handler was aborted')
    await until(() => link(hub, 'a').runningTasks === 0, 'and its answer is nobody’s')
  }))

test('a handler is aborted wherever its task takes its time: in itself, in the schema of its input or of its output', () =>
  withHub(
    { workers: [server('caller'), { id: 'patient', exec: new URL('./workers/patient.js', import.meta.url) }] },
    async (hub, { begun, aborted }) => {
      const kinds = ['handler', 'input', 'output']
      const keys = (cause: string) => kinds.map((kind) => `${kind}: ${cause}`)
      const ask = (scope: Pick<PrimaryHub, 'to'>, cause: string) =>
        Promise.all(
          kinds.map((kind) => rejection(scope.to('patient').request(kind, `${kind}: ${cause}`) as Promise<unknown>)),
        )
      const underWay = (cause: string) =>
        until(() => keys(cause).every((key) => begun.some((one) => one.key === key)), `${cause}: all have begun`)

      for (const error of await ask(hub.timeout(20) as never, 'timeout')) assert.equal(error.code, 'ERR_HUB_TIMEOUT')
      const controller = new AbortController()
      const calls = ask(hub.signal(controller.signal) as never, 'abort')
      await underWay('abort')
      controller.abort()
      for (const error of await calls) assert.equal(error.code, 'ERR_HUB_ABORTED')
      for (const kind of kinds) {
        const order = { verb: 'request', to: 'patient', task: kind, input: `${kind}: death` } as const
        have(hub, 'caller', order).catch(() => {})
      }
      await underWay('death')
      const gone = once(hub.lifecycle, 'leave')
      process.kill(hub.members.find(({ id }) => id === 'caller')?.pid as number, 'SIGKILL')
      await gone
      const spared = Promise.all(kinds.map((kind) => hub.to('patient').request(kind, `${kind}: spared`)))
      await underWay('spared')

      // What waits in the schema of its input runs only now, and finds its signal aborted.
      hub.to('patient').emit('open')
      await spared
      const expected = ['timeout', 'abort', 'death'].flatMap(keys)
      await until(() => aborted.length >= expected.length, 'all are aborted')
      assert.deepEqual(aborted.map(({ key }) => key).sort(), expected.sort())
      for (const { reason } of aborted) assert.equal(reason, 'ERR_HUB_ABORTED')
    },
  ))

test('a member’s exit is answered at once, to everybody who waits for it', () =>
  withHub({ workers: [server('caller'), server('a', ['gate', 'kill'])], timeout: 30_000 }, async (hub, { begun }) => {
    await promptly(async () => {
      const waiting = [
        have(hub, 'primary', { verb: 'request', to: 'a', task: 'gate', input: 1 }),
        have(hub, 'caller', { verb: 'request', to: 'a', task: 'gate', input: 2 }),
        have(hub, 'caller', { verb: 'delegate', task: 'gate', input: 3 }),
      ]
      await until(() => begun.length === 3, 'all have begun')
      waiting.push(have(hub, 'primary', { verb: 'request', to: 'a', task: 'kill' }))
      for (const { error } of await Promise.all(waiting)) {
        assert.deepEqual([error?.code, error?.hub], ['ERR_HUB_MEMBER_EXITED', true])
        assert.match(error?.message as string, /"a" exited \(signal SIGKILL\) while it worked on it.*\.retry\(n\)/)
      }
    })
  }))

test('a handler is told who asks, and until when', () =>
  withHub({ workers: [{ ...server('caller'), role: 'r' }, server('a', ['context'])] }, async (hub) => {
    const before = Date.now()
    const own = await hub.timeout(5000).to('a').request('context')
    assert.deepEqual(own.from, { id: 'primary', role: undefined, incarnation: 1 })
    assert.equal(own.aborted, false)
    assert.ok(own.deadline >= before + 5000 && own.deadline <= Date.now() + 5001, String(own.deadline))
    const { value } = await have(hub, 'caller', { verb: 'delegate', task: 'context' })
    assert.deepEqual((value as { from: object }).from, { id: 'caller', role: 'r', incarnation: 1 })
  }))

test('operators are immutable, and come in any order', () =>
  withHub({ workers: [server('a', ['echo', 'context'])], timeout: 77_000 }, async (hub) => {
    const { signal } = new AbortController()
    const until = async (scope: { request(task: string): Promise<{ deadline: number }> }) => {
      const now = Date.now()
      return Math.round(((await scope.request('context')).deadline - now) / 1000)
    }
    const target = hub.to('a')
    assert.equal(await until(target.timeout(9000)), 9)
    assert.equal(await until(target), 77, 'the target itself is as it was')
    const patient = hub.timeout(9000)
    assert.equal(await until(patient.timeout(50_000).to('a')), 50)
    assert.equal(await until(patient.to('a')), 9)
    assert.equal(await until(hub.retry(1).timeout(9000).to('a').signal(signal)), 9)
    assert.equal(await until(hub.signal(signal).to('a').timeout(9000).retry(1)), 9)
    assert.equal(await until(hub.to('a').retry(1).signal(signal).timeout(9000)), 9)
    assert.equal(await hub.timeout(5000).delegate('echo', 1), 1)
    assert.equal(await patient.delegate('echo', 2), 2)

    for (const wrong of [0, -1, Number.NaN, '5' as unknown as number]) {
      assert.throws(() => hub.timeout(wrong), { code: 'ERR_INVALID_ARG_VALUE' })
    }
    for (const wrong of [-1, 1.5, 256]) assert.throws(() => hub.retry(wrong), { code: 'ERR_INVALID_ARG_VALUE' })
    assert.throws(() => hub.signal({} as AbortSignal), { code: 'ERR_INVALID_ARG_VALUE' })
  }))

test('a task is handled once in a member, until it is unhandled', () =>
  withHub({ workers: [] }, async (hub) => {
    const unhandle = hub.handle('x', () => 1)
    assert.throws(
      () => hub.handle('x', () => 2),
      (error: HubError) => error.code === 'ERR_INVALID_ARG_VALUE' && /serves it already/.test(error.message),
    )
    assert.equal(await hub.to('primary').request('x'), 1)
    unhandle()
    unhandle()
    assert.equal((await rejection(hub.to('primary').request('x'))).code, 'ERR_HUB_NO_HANDLER')
    assert.equal((await rejection(hub.delegate('x'))).code, 'ERR_HUB_NO_HANDLER')
    const again = hub.handle('x', () => 2)
    unhandle()
    assert.equal(await hub.to('primary').request('x'), 2)
    again()
    hub.handle('x', () => 3)
    assert.equal(await hub.to('primary').request('x'), 3)
    const bad: [unknown, object][] = [
      ['no function', {}],
      [() => {}, { concurrency: 0 }],
      [() => {}, { concurrency: 1.5 }],
      [() => {}, { concurency: 1 }],
    ]
    for (const [handler, options] of bad) {
      assert.throws(() => hub.handle('y', handler as () => void, options), { code: 'ERR_INVALID_ARG_VALUE' })
    }
  }))

test('unhandling loses no task that is on its way already', () =>
  withHub({ workers: [] }, async (hub) => {
    const unhandle = hub.handle('x', (n: number) => n)
    const call = hub.delegate('x', 1)
    // The hub reads the call in the next turn, and sends the task in the one after that. In between it is unhandled.
    await Promise.resolve()
    await new Promise(setImmediate)
    unhandle()
    const late = rejection(hub.delegate('x', 2))
    assert.equal(await call, 1)
    assert.equal((await late).code, 'ERR_HUB_NO_HANDLER')
  }))

test('gather settles with every id, in the order of the targets', () =>
  withHub(
    {
      workers: [
        server('a', ['who'], { role: 'r' }),
        server('b', ['who'], { role: 'r' }),
        server('c'),
        server('dead', ['who'], { restart: 'never' }),
        server('caller'),
      ],
    },
    async (hub) => {
      await hub.stop('dead')
      for (const caller of ['primary', 'caller']) {
        const to = ['b', 'nobody', 'dead', 'a', 'c', 'b']
        const { value } = await have(hub, caller, { verb: 'gather', to, task: 'who' })
        const results = value as {
          id: string
          value?: unknown
          error?: { code: string; message: string; hub: boolean }
        }[]
        assert.deepEqual(
          results.map(({ id, value, error }) => [id, value ?? error?.code]),
          [
            ['b', 'b'],
            ['nobody', 'ERR_HUB_NO_MEMBER'],
            ['dead', 'ERR_HUB_MEMBER_EXITED'],
            ['a', 'a'],
            ['c', 'ERR_HUB_NO_HANDLER'],
          ],
        )
        assert.match(
          results[1]?.error?.message as string,
          /nobody on this hub has the id "nobody"\. There are: "primary"/,
        )
        assert.match(results[2]?.error?.message as string, /"dead" was stopped.*hub\.restart\("dead"\)/)
        const one = await have(hub, caller, { verb: 'gather', to: 'a', task: 'who' })
        assert.deepEqual(one, { value: [{ id: 'a', value: 'a' }] })
      }
      const settled = await hub.to({ role: 'r' }).gather('who')
      assert.deepEqual(settled, [
        { id: 'a', status: 'fulfilled', value: 'a' },
        { id: 'b', status: 'fulfilled', value: 'b' },
      ])
      const [rejected] = await hub.to(['c']).gather('who')
      assert.ok(rejected?.status === 'rejected' && rejected.reason instanceof HubError)
      assert.equal((await rejection(hub.to({ role: 'nobody' }).gather('who'))).code, 'ERR_HUB_NO_MEMBER')
    },
  ))

test('a handler may ask others, itself and the primary', () =>
  withHub(
    { workers: [server('a', ['relay', 'who']), server('b', ['relay', 'who'])] },
    async (hub) => {
      const through = (...path: string[]): object | string =>
        path.length === 1
          ? 'who'
          : { to: path[1], task: path.length === 2 ? 'who' : 'relay', input: through(...path.slice(1)) }
      for (const path of [
        ['a', 'b'],
        ['a', 'a'],
        ['a', 'primary'],
        ['a', 'b', 'a', 'primary', 'b', 'primary'],
      ]) {
        assert.equal(await hub.to('a').request('relay', through(...path)), path.at(-1), path.join(' '))
      }
      // The error of the innermost comes through, marked with each member that it passed.
      const error = await rejection(
        hub.to('a').request('relay', { to: 'b', task: 'relay', input: { to: 'x', task: 'who' } }),
      )
      assert.deepEqual([error.name, error.code], ['HubError', 'ERR_HUB_NO_MEMBER'])
      assert.match(String(error.stack), /in member "a" ---\n {4}at --- in member "b" ---/)
    },
    ['relay', 'who'],
  ))

test('requests go both ways, and to oneself, asynchronously and cloned', () =>
  withHub(
    { workers: [server('a', ['echo', 'who'])] },
    async (hub) => {
      assert.equal(await hub.to('a').request('who'), 'a')
      assert.deepEqual(await have(hub, 'a', { verb: 'request', to: 'primary', task: 'who' }), { value: 'primary' })
      assert.deepEqual(await have(hub, 'a', { verb: 'request', to: 'a', task: 'who' }), { value: 'a' })
      const input = { list: [1] }
      let answered = false
      const call = hub.to('primary').request('echo', input)
      call.then(() => {
        answered = true
      })
      input.list.push(2)
      await Promise.resolve()
      assert.equal(answered, false)
      assert.deepEqual(await call, { list: [1] })
      assert.equal(await hub.delegate('who'), hub.stats().tasksServed === 3 ? 'primary' : 'a')
    },
    ['echo', 'who'],
  ))

test('requests before ready wait', () =>
  withHub({ workers: [server('caller')] }, async (hub) => {
    const late = { id: 'late', exec: new URL('./workers/late.js', import.meta.url) }
    let permit: (() => void) | undefined
    hub.handle('may I', () => new Promise<void>((resolve) => (permit = resolve)))
    const forked = hub.fork(late)
    await until(() => permit !== undefined, 'it has joined')
    const early = hub.to('late').request('who')
    const others = have(hub, 'caller', { verb: 'delegate', task: 'who' })
    assert.ok(await isPending(Promise.race([early, others]), hub))
    permit?.()
    await forked
    assert.equal(await early, 'late')
    assert.deepEqual(await others, { value: 'late' })
  }))

test('many calls at once are each answered with their own', () =>
  withHub({ workers: [server('a', ['echo']), server('b', ['echo'])] }, async (hub: PrimaryHub) => {
    const answers = await Promise.all(
      Array.from({ length: 3000 }, (_, i) =>
        i % 2 ? hub.to(i % 3 ? 'a' : 'b').request('echo', i) : hub.delegate('echo', { i, binary: new Uint8Array([i]) }),
      ),
    )
    answers.forEach((answer, i) => {
      assert.deepEqual(answer, i % 2 ? i : { i, binary: new Uint8Array([i]) })
    })
  }))

test('a call whose server is ended because its caller closes the hub was not lost to an accident', async () => {
  let call: Promise<HubError> | undefined
  await withHub({ workers: [server('tasks', ['gate'])], gracePeriod: 300 }, async (hub) => {
    setImmediate(() => {
      call = rejection(hub.to('tasks').request('gate')) as Promise<HubError>
    })
  })
  const error = await call
  assert.equal(error?.code, 'ERR_HUB_CLOSED', error?.message)
})

test('after close every call is refused, and those that wait are told', async () => {
  let late: Promise<Error & { code?: string }> | undefined
  let closed: PrimaryHub | undefined
  await withHub({ workers: [], gracePeriod: 50 }, async (hub) => {
    closed = hub
    hub.handle('never', () => new Promise(() => {}))
    await hub
      .timeout(1)
      .to('primary')
      .request('never')
      .catch(() => {})
    setImmediate(() => {
      late = rejection(hub.to('primary').request('never'))
    })
  })
  assert.equal((await late)?.code, 'ERR_HUB_CLOSED')
  assert.match(
    (await late)?.message as string,
    /^Request "never" to "primary": the hub was closed before an answer came/,
  )
  const error = await rejection((closed as PrimaryHub).delegate('x'))
  assert.equal(error.code, 'ERR_HUB_CLOSED')
  assert.match(error.message, /^Delegation of "x": this member's hub is closed/)
})

test.run()
