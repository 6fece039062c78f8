import assert from 'node:assert/strict'
import cluster, { type Worker } from 'node:cluster'
import { isHubMessage, type PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import { rejection, until, withHub, worker } from './support.js'

const exec = worker('membership')
const backoff = { min: 1, max: 5 }
const find = (hub: PrimaryHub, id: string) => hub.members.find((member) => member.id === id)

test(
  'everybody knows everybody, and hears of those who join, leave and come back',
  withHub(
    {
      workers: [
        { role: 'web', count: 2, exec },
        { id: 'mailer', exec },
      ],
      backoff,
    },
    async (hub) => {
      const seen: unknown[] = []
      hub.lifecycle.on('join', ({ id, incarnation, state }) => seen.push(['join', id, incarnation, state]))
      hub.lifecycle.on('leave', ({ id, incarnation }, { code, signal }) => {
        seen.push(['leave', id, incarnation, code, signal])
      })
      hub.lifecycle.on('restart', ({ id }, { attempt, exit }) => seen.push(['restart', id, attempt, exit.code]))
      await hub.fork({ id: 'late', role: 'web', exec })
      hub.to('mailer').emit('exit', 7)
      await until(() => find(hub, 'mailer')?.incarnation === 2 && find(hub, 'mailer')?.state === 'ready', 'it is back')
      process.kill(find(hub, 'web-2')?.pid as number, 'SIGKILL')
      await until(() => find(hub, 'web-2')?.incarnation === 2 && find(hub, 'web-2')?.state === 'ready', 'it is back')
      await hub.stop('late')

      const expected = [
        ['join', 'late', 1, 'ready'],
        ['leave', 'mailer', 1, 7, null],
        ['restart', 'mailer', 1, 7],
        ['join', 'mailer', 2, 'ready'],
        ['leave', 'web-2', 1, null, 'SIGKILL'],
        ['restart', 'web-2', 1, null],
        ['join', 'web-2', 2, 'ready'],
        ['leave', 'late', 1, 0, null],
      ]
      const ofThese = (list: unknown[]) => list.filter((entry) => (entry as string[])[1] !== 'primary')
      await until(() => ofThese(seen).length >= expected.length, 'the primary has heard of all')
      assert.deepEqual(ofThese(seen), expected)
      const heard = ofThese((await hub.to('web-1').request('seen')) as unknown[])
      // Before, it may have heard of those that were started with it.
      const since = heard.findIndex((entry) => (entry as string[])[1] === 'late')
      assert.deepEqual(heard.slice(since), expected)
      const mine = hub.members
      for (const id of ['web-1', 'web-2', 'mailer']) {
        assert.deepEqual(await hub.to(id).request('members'), mine, id)
      }
      assert.deepEqual(
        mine.map(({ id, role, state, incarnation }) => [id, role, state, incarnation]),
        [
          ['primary', undefined, 'ready', 1],
          ['web-1', 'web', 'ready', 1],
          ['web-2', 'web', 'ready', 2],
          ['mailer', undefined, 'ready', 2],
          ['late', 'web', 'stopped', 1],
        ],
      )
    },
  ),
)

const IDS = ['__proto__', 'constructor', '漢字', '\ud83d', '🙂', 'x'.repeat(255), '0', ' ']

test(
  'ids are what the user likes, and stay over restarts',
  withHub({ workers: [...IDS.slice(0, 4).map((id) => ({ id, exec })), { id: 101, exec }], backoff }, async (hub) => {
    // A few at a time: each is a process.
    for (const ids of [['101', ...IDS.slice(0, 4)], IDS.slice(4)]) {
      if (ids[0] !== '101') {
        await Promise.all(['101', ...IDS.slice(0, 4)].map((id) => hub.stop(id)))
        await Promise.all(ids.map((id) => hub.fork({ id, role: '__proto__', exec })))
      }
      for (const id of ids) {
        const who = (await hub.to(id).request('who')) as { id: string; pid: number; from: { id: string } }
        assert.equal(who.id, id)
        assert.equal(who.pid, find(hub, id)?.pid)
        assert.deepEqual(who.from, { id: 'primary', role: undefined, incarnation: 1 })
      }
      // Each is told rightly whom it hears.
      const [one, other] = ids as [string, string]
      const heard = (await hub.to(one).request('ask', { id: other, task: 'who' })) as { from: unknown }
      assert.deepEqual(heard.from, { id: one, role: find(hub, one)?.role, incarnation: 1 })
      const pid = find(hub, other)?.pid
      hub.to(other).emit('exit', 1)
      await until(() => find(hub, other)?.incarnation === 2 && find(hub, other)?.state === 'ready', 'it is back')
      const again = (await hub.to(other).request('ask', { id: one, task: 'who' })) as { from: unknown }
      assert.deepEqual(again.from, { id: other, role: find(hub, other)?.role, incarnation: 2 })
      assert.notEqual(find(hub, other)?.pid, pid)
    }
    const all = (await hub.to({ role: '__proto__' }).gather('who')) as { id: string; status: string }[]
    assert.deepEqual(
      all.map(({ id, status }) => [id, status]),
      IDS.slice(4).map((id) => [id, 'fulfilled']),
    )
  }),
)

test(
  '101 and "101" are one',
  withHub({ workers: [{ id: 101, exec }] }, async (hub) => {
    assert.equal(((await hub.to(101).request('who')) as { id: string }).id, '101')
    assert.equal(((await hub.to('101').request('who')) as { id: string }).id, '101')
    assert.equal((await hub.to([101, '101']).gather('who')).length, 1)
    const error = await rejection(hub.fork({ id: '101', exec }))
    assert.equal(error.code, 'ERR_INVALID_ARG_VALUE')
    assert.match(error.message, /101/)
    await hub.restart(101)
    assert.equal(find(hub, '101')?.incarnation, 2)
    await hub.stop('101')
    assert.equal(find(hub, '101')?.state, 'stopped')
  }),
)

test(
  'a reply to a process that is gone never reaches its successor',
  withHub(
    {
      workers: [
        { id: 'caller', exec },
        { id: 'server', exec },
      ],
      backoff,
    },
    async (hub) => {
      const server = hub.to('server')
      const ask = (name: string) => hub.to('caller').request('ask', { id: 'server', task: 'slow', input: name })
      const waits = async () => (await server.request('waiting')) as { waiting: string[]; aborted: string[] }
      const untilWaiting = async (count: number) => {
        while ((await waits()).waiting.length < count) await new Promise((resolve) => setTimeout(resolve, 2))
      }
      const names = Array.from({ length: 10 }, (_, i) => `old ${i}`)
      const old = names.map((name) => rejection(ask(name)))
      await untilWaiting(10)
      hub.to('caller').emit('exit', 1)
      for (const error of await Promise.all(old)) assert.equal(error.code, 'ERR_HUB_MEMBER_EXITED')
      await until(() => find(hub, 'caller')?.incarnation === 2 && find(hub, 'caller')?.state === 'ready', 'it is back')
      // The successor counts its calls from the beginning, as its predecessor did.
      const news = Array.from({ length: 10 }, (_, i) => `new ${i}`)
      const answers = news.map((name) => ask(name))
      await untilWaiting(20)
      // Their caller is gone: the handlers were told.
      assert.deepEqual((await waits()).aborted, names)
      let settled = 0
      for (const answer of answers) answer.finally(() => settled++)
      for (const name of names) await server.request('answer', name)
      // Whatever would have reached the caller has, by now.
      await hub.to('caller').request('ask', { id: 'server', task: 'who' })
      assert.equal(settled, 0)
      assert.equal(hub.stats().links?.find(({ id }) => id === 'server')?.runningTasks, 10)
      for (const name of news) await server.request('answer', name)
      assert.deepEqual(
        await Promise.all(answers),
        news.map((name) => `to ${name}`),
      )
      for (const { id, protocolErrors, runningTasks } of hub.stats().links ?? []) {
        assert.deepEqual([id, protocolErrors, runningTasks], [id, 0, 0])
      }
    },
  ),
)

test(
  "users' own messages pass beside the hub's, and isHubMessage tells them apart",
  withHub({ workers: [{ id: 'ann', exec }] }, async (hub) => {
    const [process] = Object.values(cluster.workers ?? {}) as [Worker]
    const own: unknown[] = []
    let ofHub = 0
    process.on('message', (message: unknown) => {
      if (isHubMessage(message)) ofHub++
      else own.push(message)
    })
    const mine = [
      'text',
      '\x11hubwire',
      { type: 'hub' },
      ['hubwire1', new Uint8Array(2)],
      [],
      null,
      0,
      new Map([[1, 2]]),
    ]
    for (const [i, message] of mine.entries()) {
      process.send(message as never)
      await hub.to('ann').request('who')
      await until(() => own.length > i, 'it was echoed')
    }
    assert.deepEqual(
      own,
      mine.map((echo) => ({ echo })),
    )
    const messages = (await hub.to('ann').request('messages')) as { hub: number; own: unknown[] }
    assert.deepEqual(messages.own, mine)
    assert.ok(messages.hub >= mine.length && ofHub >= mine.length)
    assert.equal(hub.stats().links?.find(({ id }) => id === 'ann')?.protocolErrors, 0)
  }),
)

test.run()
