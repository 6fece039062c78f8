import assert from 'node:assert/strict'
import type { HubError } from 'hubwire'
import { test } from 'uvu'
import { CALLERS, DOWN, expectRefusal, have, link, rejection, server, state, until, withHub } from './hubs.js'
import type { Order } from './workers/library.js'

// A member that dies while it works on a task.

test('a member that dies while working is answered with member exited: it may have run', () =>
  withHub({ workers: [server('caller'), server('a', ['exit'])] }, async (hub) => {
    for (const caller of CALLERS) {
      for (const order of [{ verb: 'request', to: 'a' }, { verb: 'delegate' }] as Order[]) {
        const outcome = await have(hub, caller, { ...order, task: 'exit', input: 3 })
        expectRefusal(
          outcome,
          'ERR_HUB_MEMBER_EXITED',
          /"a" exited \(exit code 3\) while it worked on it\. The task may have run/,
        )
        await until(() => state(hub, 'a') === 'ready', 'it is back')
      }
    }
  }))

test('inputs that are kept for a retry are bounded, and let go with their calls', () =>
  withHub({ workers: [server('a', ['gate'])], maxQueueBytes: 1_000_000 }, async (hub, { begun }) => {
    const padding = 'x'.repeat(400_000)
    const ask = (key: number) =>
      hub
        .retry(1)
        .to('a')
        .request('gate', key + padding)
    const calls = [ask(1), ask(2), ask(3)]
    await until(() => begun.length === 3, 'three have begun')
    const refused = (await rejection(ask(4))) as HubError
    assert.equal(refused.code, 'ERR_HUB_OVERLOADED')
    assert.match(refused.message, /^Request "gate" to "a": refused, because \d+ bytes are kept for retries already/)
    for (const key of [1, 2, 3]) hub.emit('open', key + padding)
    await Promise.all(calls)
    const again = ask(5)
    await until(() => begun.length === 4, 'another one is accepted')
    hub.emit('open', 5 + padding)
    await again
  }))

test('with retry a request is sent again to the same seat', () =>
  withHub(
    { workers: [server('caller'), server('a', ['gate', 'kill']), server('b', ['gate'])] },
    async (hub, { begun }) => {
      for (const caller of CALLERS) {
        const order: Order = { verb: 'request', to: 'a', task: 'gate', input: caller, retry: 1 }
        const call = have(hub, caller, order)
        const mine = () => begun.filter(({ key }) => key === caller)
        await until(() => mine().length === 1, 'it has begun')
        await rejection(hub.to('a').request('kill'))
        await until(() => mine().length === 2, 'it has begun again')
        hub.emit('open', caller)
        assert.deepEqual(await call, { value: `a:${caller}` })
        assert.deepEqual(
          mine().map(({ id, from }) => [id, from]),
          [
            ['a', caller],
            ['a', caller],
          ],
        )
      }
    },
  ))

test('with retry a delegation is sent elsewhere, with its whole input', () =>
  withHub(
    { workers: [server('caller'), server('a', ['gate', 'kill'], DOWN), server('b', ['gate', 'kill'])] },
    async (hub, { begun }) => {
      for (const caller of CALLERS) {
        // Binary, so that what is kept is more than the text.
        const key = new Uint8Array(100_000).fill(caller.length)
        const call = have(hub, caller, { verb: 'delegate', task: 'gate', input: key, retry: 1 })
        begun.length = 0
        await until(() => begun.length === 1, 'it has begun')
        const first = begun[0]?.id as string
        await rejection(hub.to(first).request('kill'))
        await until(() => begun.length === 2, 'it has begun again')
        if (first === 'a') assert.equal(begun[1]?.id, 'b', 'a does not come back by itself')
        assert.deepEqual(begun[1]?.key, key)
        assert.equal(begun[1]?.from, caller)
        const second = begun[1]?.id as string
        await rejection(hub.to(second).request('kill'))
        expectRefusal(
          await call,
          'ERR_HUB_MEMBER_EXITED',
          new RegExp(`^Delegation of "gate": "${second}" exited \\(signal SIGKILL\\)`),
        )
        if (state(hub, 'a') !== 'ready') await hub.restart('a')
        await until(() => state(hub, 'a') === 'ready' && state(hub, 'b') === 'ready', 'both are back')
      }
    },
  ))

test('retries are counted, and exhausted', () =>
  withHub({ workers: [server('a', ['exit'])], intensity: { restarts: 20, period: 60_000 } }, async (hub) => {
    const incarnation = () => link(hub, 'a').incarnation
    for (const retries of [0, 2]) {
      await until(() => state(hub, 'a') === 'ready', 'it is there')
      const before = incarnation()
      const error = await rejection(hub.retry(retries).to('a').request('exit', 1))
      assert.equal(error.code, 'ERR_HUB_MEMBER_EXITED')
      await until(() => state(hub, 'a') === 'ready', 'it is back')
      assert.equal(incarnation() - before, retries + 1, 'it ran once more than there were retries')
    }
  }))

test('a task that was cancelled is not sent again', () =>
  withHub({ workers: [server('a', ['gate', 'kill', 'echo'])] }, async (hub, { begun }) => {
    const error = await rejection(hub.retry(3).timeout(50).to('a').request('gate', 1))
    assert.equal(error.code, 'ERR_HUB_TIMEOUT')
    await until(() => begun.length === 1, 'it has begun')
    await rejection(hub.to('a').request('kill'))
    assert.equal(await hub.to('a').request('echo', 1), 1, 'it is back')
    await hub.to('a').request('echo', 1)
    assert.equal(begun.length, 1)
  }))

test.run()
