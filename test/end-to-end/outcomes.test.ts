import assert from 'node:assert/strict'
import type { PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import {
  CALLERS,
  DOWN,
  expectRefusal,
  have,
  isPending,
  link,
  rejection,
  server,
  state,
  until,
  withHub,
} from './hubs.js'
import type { Order, Outcome } from './workers/library.js'

// What becomes of a call when something is wrong with its target: each row for the primary and for a worker as caller.

/** Ends a member's process, and waits until its seat is in that state. */
async function crash(hub: PrimaryHub, id: string, becomes = 'restarting'): Promise<void> {
  assert.equal((await rejection(hub.to(id).request('exit', 3))).code, 'ERR_HUB_MEMBER_EXITED')
  await until(() => state(hub, id) === becomes, `${id} is ${becomes}`)
}

test('to an unknown id or role: no member, with any verb', () =>
  withHub({ workers: [server('caller')] }, async (hub) => {
    for (const caller of CALLERS) {
      const noMember = async (order: Order, attempt: string, what: string) => {
        const message = new RegExp(`^${attempt}: .*${what} "nobody".*startHub\\(\\), or hub\\.fork\\(\\) it`)
        expectRefusal(await have(hub, caller, order), 'ERR_HUB_NO_MEMBER', message)
      }
      await noMember({ verb: 'emit', to: 'nobody', task: 'e' }, 'emit\\("e"\\) to "nobody"', 'the id')
      await noMember(
        { verb: 'emit', to: ['primary', 'nobody'], task: 'e' },
        'emit\\("e"\\) to "primary", "nobody"',
        'the id',
      )
      await noMember({ verb: 'request', to: 'nobody', task: 'x' }, 'request\\("x"\\) to "nobody"', 'the id')
      await noMember({ verb: 'drained', to: 'nobody' }, 'hub\\.drained\\(\\) to "nobody"', 'the id')
      const role = { role: 'nobody' }
      await noMember({ verb: 'emit', to: role, task: 'e' }, 'emit\\("e"\\) to role "nobody"', 'the role')
      await noMember({ verb: 'delegate', to: role, task: 'x' }, 'delegate\\("x"\\) to role "nobody"', 'the role')
      await noMember({ verb: 'gather', to: role, task: 'x' }, 'gather\\(\\) to role "nobody"', 'the role')
      await noMember({ verb: 'drained', to: role }, 'hub\\.drained\\(\\) to role "nobody"', 'the role')
      const { value } = await have(hub, caller, { verb: 'gather', to: 'nobody', task: 'x' })
      const [entry] = value as [{ id: string } & Outcome]
      assert.equal(entry.id, 'nobody')
      expectRefusal(entry, 'ERR_HUB_NO_MEMBER', /^request\("x"\) to "nobody"/)
    }
    // emit throws, and sent nothing to the others.
    let heard = 0
    hub.on('e', () => heard++)
    assert.throws(() => hub.to(['primary', 'nobody']).emit('e'), { code: 'ERR_HUB_NO_MEMBER' })
    assert.throws(() => hub.to('nobody').emit('e'), { code: 'ERR_HUB_NO_MEMBER' })
    await hub.drained()
    assert.equal(heard, 0)
  }))

test('to a member that does not serve the task: no handler', () =>
  withHub({ workers: [server('caller'), server('a', ['echo'], { role: 'r' })] }, async (hub) => {
    for (const caller of CALLERS) {
      const advice = 'Call hub.handle\\("x", …\\) '
      const refused = async (order: Order, message: string) =>
        expectRefusal(await have(hub, caller, order), 'ERR_HUB_NO_HANDLER', new RegExp(`^${message}.*${advice}`))
      await refused({ verb: 'request', to: 'a', task: 'x' }, 'Request "x" to "a": it does not serve this task')
      await refused({ verb: 'request', to: caller, task: 'x' }, `Request "x" to "${caller}"`)
      await refused({ verb: 'delegate', task: 'x' }, 'Delegation of "x": nobody serves this task')
      await refused(
        { verb: 'delegate', to: { role: 'r' }, task: 'x' },
        'Delegation of "x" to role "r": no member of the role',
      )
    }
  }))

test('a request to a seat that restarts waits for it, as does a delegation that only it serves', () =>
  withHub({ workers: [server('caller'), server('a', ['echo', 'exit'], { ...DOWN, role: 'r' })] }, async (hub) => {
    await crash(hub, 'a')
    const calls = CALLERS.flatMap((caller) => [
      have(hub, caller, { verb: 'request', to: 'a', task: 'echo', input: 1 }),
      have(hub, caller, { verb: 'delegate', task: 'echo', input: 2 }),
      have(hub, caller, { verb: 'delegate', to: { role: 'r' }, task: 'echo', input: 3 }),
    ])
    await until(() => link(hub, 'a').held === 2, 'the requests are held')
    assert.ok(await isPending(Promise.race(calls), hub))
    // What it is known not to serve does not wait.
    for (const caller of CALLERS) {
      for (const order of [{ verb: 'request', to: 'a' }, { verb: 'delegate' }] as Order[]) {
        expectRefusal(
          await have(hub, caller, { ...order, task: 'gate' }),
          'ERR_HUB_NO_HANDLER',
          /of "gate"|"gate" to "a"/,
        )
      }
    }
    await hub.restart('a')
    assert.deepEqual(
      (await Promise.all(calls)).map(({ value }) => value),
      [1, 2, 3, 1, 2, 3],
    )
  }))

test('what waits for a seat that restarts is bounded by its deadline', () =>
  withHub({ workers: [server('caller'), server('a', ['echo', 'exit', 'gate'], DOWN)] }, async (hub, { begun }) => {
    await crash(hub, 'a')
    for (const caller of CALLERS) {
      const request = await have(hub, caller, { verb: 'request', to: 'a', task: 'gate', timeout: 20 })
      expectRefusal(request, 'ERR_HUB_TIMEOUT', /^Request "gate" to "a": no answer within 20 ms/)
      const delegation = await have(hub, caller, { verb: 'delegate', task: 'gate', timeout: 20 })
      expectRefusal(delegation, 'ERR_HUB_TIMEOUT', /^Delegation of "gate"/)
    }
    const controller = new AbortController()
    const call = rejection(hub.signal(controller.signal).to('a').request('gate'))
    controller.abort()
    assert.equal((await call).code, 'ERR_HUB_ABORTED')
    await hub.restart('a')
    assert.equal(await hub.to('a').request('echo', 1), 1)
    assert.deepEqual(begun, [], 'nothing of it is done later')
  }))

test('what waits for a seat that restarts is bounded in size, and refused at once beyond', () =>
  withHub(
    { workers: [server('caller'), server('a', ['echo', 'exit'], DOWN)], maxHeldBytes: 3500, maxQueuedTasks: 3 },
    async (hub) => {
      await crash(hub, 'a')
      const accepted: Promise<Outcome>[] = []
      let held = 0
      for (const caller of CALLERS) {
        // One at a time: each finds out by itself whether there is room.
        for (;;) {
          const call = have(hub, caller, { verb: 'request', to: 'a', task: 'echo', input: 'x'.repeat(300) })
          const before = held
          let answered = false
          call.then(() => {
            answered = true
          })
          await until(() => answered || link(hub, 'a').held > before, 'it is held or refused')
          held = link(hub, 'a').held
          if (held === before) {
            expectRefusal(
              await call,
              'ERR_HUB_OVERLOADED',
              /^Request "echo" to "a": refused, because what is held for it is full/,
            )
            break
          }
          accepted.push(call)
        }
      }
      assert.ok(held >= 5 && held <= 7, String(held))
      const delegated = CALLERS.flatMap((caller) =>
        [1, 2].map(() => have(hub, caller, { verb: 'delegate', task: 'echo', input: 'd' })),
      )
      const first = await Promise.race(delegated)
      expectRefusal(
        first,
        'ERR_HUB_OVERLOADED',
        /^Delegation of "echo": refused, because 3 tasks wait already.*Send less/,
      )
      await hub.restart('a')
      for (const { value } of await Promise.all(accepted)) assert.equal(value, 'x'.repeat(300))
      const done = (await Promise.all(delegated)).filter(({ value }) => value === 'd')
      assert.equal(done.length, 3)
    },
  ))

test('to a seat that was stopped or given up: member exited, at once', () =>
  withHub(
    {
      workers: [
        server('caller'),
        server('stopped', ['echo']),
        server('ended', ['echo', 'exit'], { restart: 'never' }),
        server('done', ['exit'], { restart: 'on-failure' }),
        server('killed', ['kill'], { restart: 'never' }),
        server('given-up', ['echo', 'exit'], { intensity: { restarts: 0, period: 1000 } }),
      ],
    },
    async (hub) => {
      hub.lifecycle.on('give-up', () => {})
      await hub.stop('stopped')
      await crash(hub, 'ended', 'stopped')
      for (const [id, task] of [
        ['done', 'exit'],
        ['killed', 'kill'],
      ] as const) {
        const error = await rejection(hub.to(id).request(task, 0))
        assert.equal(error.code, 'ERR_HUB_MEMBER_EXITED')
        await until(() => state(hub, id) === 'stopped', `${id} is down`)
      }
      await crash(hub, 'given-up', 'given-up')
      for (const caller of CALLERS) {
        const refused = async (id: string, message: RegExp) =>
          expectRefusal(
            await have(hub, caller, { verb: 'request', to: id, task: 'echo' }),
            'ERR_HUB_MEMBER_EXITED',
            message,
          )
        await refused('stopped', /^Request "echo" to "stopped": "stopped" was stopped\. .*hub\.restart\("stopped"\)/)
        // Nobody stopped these: they are down because their options say so.
        const ended = (id: string, how: string) =>
          new RegExp(
            `^Request "echo" to "${id}": "${id}" exited \\(${how}\\), and its restart option wants no other process\\. ` +
              `Start it again with hub\\.restart\\("${id}"\\)\\.$`,
          )
        await refused('ended', ended('ended', 'exit code 3'))
        await refused('done', ended('done', 'exit code 0'))
        await refused('killed', ended('killed', 'signal SIGKILL'))
        expectRefusal(
          await have(hub, caller, { verb: 'delegate', task: 'kill' }),
          'ERR_HUB_NO_HANDLER',
          /nobody serves this task now\. "killed" did, and exited \(signal SIGKILL\): hub\.restart\("killed"\)\.$/,
        )
        await refused('given-up', /"given-up" failed too often and was given up\. .*hub\.restart\("given-up"\)/)
        expectRefusal(
          await have(hub, caller, { verb: 'delegate', task: 'echo' }),
          'ERR_HUB_NO_HANDLER',
          /^Delegation of "echo": nobody serves this task/,
        )
      }
      await hub.restart('given-up')
      assert.equal(await hub.to('given-up').request('echo', 1), 1, 'and it can come back')
      await hub.restart('ended')
      await hub.stop('ended')
      assert.match((await rejection(hub.to('ended').request('echo'))).message, /"ended" was stopped\. /)
    },
  ))

test('what waits for a seat is answered when the seat is stopped or gives up', () =>
  withHub(
    {
      workers: [
        server('caller'),
        server('a', ['echo', 'exit'], DOWN),
        server('b', ['gate', 'kill', 'exit'], { intensity: { restarts: 0, period: 1000 } }),
      ],
    },
    async (hub, { begun }) => {
      hub.lifecycle.on('give-up', () => {})
      await crash(hub, 'a')
      const held = CALLERS.flatMap((caller) => [
        have(hub, caller, { verb: 'request', to: 'a', task: 'echo' }),
        have(hub, caller, { verb: 'delegate', task: 'echo' }),
      ])
      await until(() => link(hub, 'a').held === 2, 'the requests are held')
      assert.ok(await isPending(Promise.race(held), hub))
      await hub.stop('a')
      for (const [i, outcome] of (await Promise.all(held)).entries()) {
        if (i % 2) expectRefusal(outcome, 'ERR_HUB_NO_HANDLER', /Delegation of "echo"/)
        else expectRefusal(outcome, 'ERR_HUB_MEMBER_EXITED', /"a" was stopped/)
      }
      const running = CALLERS.map((caller, key) =>
        have(hub, caller, { verb: 'request', to: 'b', task: 'gate', input: key, retry: 3 }),
      )
      await until(() => begun.length === 2, 'both have begun')
      await crash(hub, 'b', 'given-up')
      for (const outcome of await Promise.all(running)) {
        expectRefusal(outcome, 'ERR_HUB_MEMBER_EXITED', /"b" failed too often and was given up/)
      }
    },
  ))

test('a delegation that nobody serves yet waits only for those who may', () =>
  withHub({ workers: [server('caller')] }, async (hub) => {
    let permit: (() => void) | undefined
    hub.handle('may I', () => new Promise<void>((resolve) => (permit = resolve)))
    const forked = hub.fork({ id: 'late', exec: new URL('./workers/late.js', import.meta.url) })
    await until(() => permit !== undefined, 'late has joined')
    const calls = CALLERS.map((caller) => have(hub, caller, { verb: 'delegate', task: 'x' }))
    assert.ok(await isPending(Promise.race(calls), hub), 'late may serve it')
    permit?.()
    for (const outcome of await Promise.all(calls))
      expectRefusal(outcome, 'ERR_HUB_NO_HANDLER', /nobody serves this task/)
    await forked
  }))

test('verbs that do not fit their target say which do', () =>
  withHub({ workers: [server('caller', [], { role: 'r' })] }, async (hub) => {
    for (const caller of CALLERS) {
      const misuse = async (order: Order, message: RegExp) =>
        expectRefusal(await have(hub, caller, order), 'ERR_INVALID_ARG_VALUE', message)
      await misuse(
        { verb: 'request', to: { role: 'r' }, task: 'x' },
        /^request\("x"\) to role "r": .*hub\.to\('mailer'\).*delegate\(\).*gather\(\)/,
      )
      await misuse({ verb: 'request', to: ['a', 'b'], task: 'x' }, /^request\("x"\) to "a", "b"/)
      await misuse({ verb: 'delegate', to: 'caller', task: 'x' }, /^delegate\("x"\) to "caller": .*request\(\)/)
      await misuse({ verb: 'gather', timeout: 1, task: 'x' }, /^gather\("x"\): say whom to ask with hub\.to/)
    }
  }))

test('closing right after emitting loses nothing', () =>
  withHub(
    { workers: [{ id: 'crowd', exec: new URL('./workers/crowd.js', import.meta.url), restart: 'never' }] },
    async (hub) => {
      const count = 10_000
      let next = 0
      hub.on('said', (i: number) => assert.equal(i, next++))
      hub.to('crowd').emit('go', count)
      await until(() => state(hub, 'crowd') === 'stopped', 'it has ended')
      await until(() => next === count, 'all has arrived')
    },
  ))

test('the primary’s own close loses nothing either, not even what it says to itself', async () => {
  for (const workers of [[], [server('a', ['say'])]]) {
    let heard = 0
    await withHub({ workers }, async (hub) => {
      hub.on('said', () => heard++)
      if (workers.length > 0) await hub.to('a').request('say', 1000)
      for (let i = 0; i < 1000; i++) hub.emit('said')
    })
    assert.equal(heard, workers.length > 0 ? 2000 : 1000)
  }
})

test.run()
