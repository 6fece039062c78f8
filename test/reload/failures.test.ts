import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import { Gate } from '../end-to-end/support.js'
import { App, alive, failure, linksOf, memberOf, until, withApp } from './app.js'

const works = `hub.handle('pid', () => process.pid)`
/** The next process says that it is there, and is ready when the gate opens. */
const waits = `${works}
  await hub.to('primary').request('gate', process.pid)
  hub.ready()`
const manual = `{ ready: 'manual' }`
const pidOf = (hub: PrimaryHub, id = 'ann') => hub.to(id).request('pid')

/** Nobody waits for it any more when whoever asked is gone. */
const opened = (gate: Gate, signal: AbortSignal) => Promise.race([gate.opened, once(signal, 'abort').then(() => {})])

/** Has the processes that start from now on wait until the gate opens, or for ever. */
function holdBack(hub: PrimaryHub, app: App): { gate: Gate; pids: number[] } {
  const held = { gate: new Gate(), pids: [] as number[] }
  hub.handle('gate', (pid: number, { signal }) => {
    held.pids.push(pid)
    return opened(held.gate, signal)
  })
  app.write(waits, manual)
  return held
}

test('a new process that fails to start leaves the old one as it was, and the error says why', async () => {
  const app = new App(works)
  await withApp(app, { workers: [{ role: 'web', count: 3, exec: app.exec }] }, async (hub, diary) => {
    const before = hub.members
    const answers: unknown[] = []
    let on = true
    const stream = (async () => {
      while (on) answers.push(await pidOf(hub, 'web-1'))
    })()
    app.writeAll(`console.error('the new code is broken'); process.exit(7)`)
    const error = await failure(hub.reload())
    assert.equal(error.code, 'ERR_HUB_MEMBER_EXITED')
    assert.match(
      error.message,
      /^hub\.reload\(\) stopped at "web-1", which keeps its old process; "web-2", "web-3" were not/,
    )
    assert.match(error.message, /exited with code 7 before it was ready[\s\S]*the new code is broken/)
    on = false
    await stream
    await hub.drained()
    assert.deepEqual(new Set(answers), new Set([before[1]?.pid]))
    assert.deepEqual(hub.members, before)
    assert.deepEqual(diary, ['starting web-1 1>2 0/3', 'failed web-1 1>2 0/3'])

    app.write(works)
    await hub.reload()
    assert.deepEqual(
      hub.members.slice(1).map(({ incarnation }) => incarnation),
      [3, 2, 2],
    )
  })
})

test('so does one that is not ready in time', async () => {
  const app = new App(works)
  await withApp(app, { workers: [{ id: 'ann', exec: app.exec, readyTimeout: 2000 }] }, async (hub) => {
    const { pid } = memberOf(hub, 'ann')
    const { pids } = holdBack(hub, app)
    const error = await failure(hub.reload())
    assert.equal(error.code, 'ERR_HUB_TIMEOUT')
    assert.match(error.message, /"ann".*was not ready within 2000 ms/)
    assert.equal(alive(pids[0]), false)
    assert.equal(await pidOf(hub), pid)
    assert.equal(linksOf(hub, 'ann').length, 1)
  })
})

test('the first that fails stops a reload of several at a time; those under way are finished', async () => {
  const app = new App(works)
  const workers = ['a', 'b', 'c'].map((id) => ({ id, exec: app.exec }))
  await withApp(app, { workers }, async (hub, diary) => {
    const { gate } = holdBack(hub, app)
    app.write(`if (hub.id === 'a') process.exit(1); ${waits}`, manual)
    const reload = failure(hub.reload({ concurrency: 2 }))
    await until(() => diary.includes('failed a 1>2 0/3'), 'one has failed')
    gate.open()
    const error = await reload
    assert.match(error.message, /stopped at "a", which keeps its old process; "b" was reloaded before; "c" was not\./)
    assert.deepEqual(
      hub.members.slice(1).map(({ incarnation }) => incarnation),
      [1, 2, 1],
    )
  })
})

test('the old one is killed while the new one starts: what comes waits for that, and it serves', async () => {
  const app = new App(works)
  await withApp(app, { workers: [{ id: 'ann', exec: app.exec }] }, async (hub, diary) => {
    const { gate, pids } = holdBack(hub, app)
    const reload = hub.reload()
    await until(() => pids.length === 1, 'the new one is starting')
    process.kill(memberOf(hub, 'ann').pid as number, 'SIGKILL')
    await until(() => diary.includes('leave ann/1'), 'the old one is gone')
    const held = pidOf(hub)
    await until(() => linksOf(hub, 'ann')[0]?.held === 1, 'it waits')
    gate.open()
    await reload
    assert.equal(await held, pids[0])
    await hub.drained()
    assert.deepEqual(memberOf(hub, 'ann').incarnation, 2)
    assert.ok(diary.includes('join ann/2'))
    assert.ok(!diary.some((entry) => entry.startsWith('restart')), 'no third one')
  })
})

test('and when the new one fails then, too, the seat is restarted as ever', async () => {
  const app = new App(works)
  await withApp(app, { workers: [{ id: 'ann', exec: app.exec }] }, async (hub, diary) => {
    const { pids } = holdBack(hub, app)
    const reload = failure(hub.reload())
    await until(() => pids.length === 1, 'the new one is starting')
    process.kill(memberOf(hub, 'ann').pid as number, 'SIGKILL')
    await until(() => diary.includes('leave ann/1'), 'the old one is gone')
    const held = pidOf(hub)
    app.write(works)
    process.kill(pids[0] as number, 'SIGKILL')
    assert.match((await reload).message, /was ended by SIGKILL before it was ready/)
    await held
    assert.equal(memberOf(hub, 'ann').incarnation, 3)
  })
})

test('the new one is killed before it is ready: nothing has changed', async () => {
  const app = new App(works)
  await withApp(app, { workers: [{ id: 'ann', exec: app.exec }] }, async (hub) => {
    const { pid } = memberOf(hub, 'ann')
    const { pids } = holdBack(hub, app)
    const reload = failure(hub.reload())
    await until(() => pids.length === 1, 'the new one is starting')
    process.kill(pids[0] as number, 'SIGKILL')
    assert.match((await reload).message, /"ann".*was ended by SIGKILL before it was ready/)
    assert.equal(await pidOf(hub), pid)
  })
})

const holds = `${works}
  hub.handle('hold', () => hub.to('primary').request('hold'))`

test('the new one is killed while the old one drains: it is replaced, and the old one finishes', async () => {
  const app = new App(holds)
  await withApp(app, { workers: [{ id: 'ann', exec: app.exec }] }, async (hub, diary) => {
    const gate = new Gate()
    hub.handle('hold', () => gate.opened.then(() => 'held'))
    const running = hub.to('ann').request('hold')
    await until(() => linksOf(hub, 'ann')[0]?.runningTasks === 1, 'it works')
    const reload = hub.reload()
    await until(() => memberOf(hub, 'ann').incarnation === 2, 'the new one has taken over')
    process.kill(memberOf(hub, 'ann').pid as number, 'SIGKILL')
    await until(() => diary.includes('join ann/3'), 'there is a third one')
    assert.equal(await pidOf(hub), memberOf(hub, 'ann').pid)
    gate.open()
    assert.equal(await running, 'held')
    await reload
    assert.deepEqual(
      linksOf(hub, 'ann').map(({ incarnation }) => incarnation),
      [3],
    )
  })
})

test('the old one is killed while it drains: its tasks are answered, and the seat does not notice', async () => {
  const app = new App(holds)
  await withApp(app, { workers: [{ id: 'ann', exec: app.exec }] }, async (hub, diary) => {
    hub.handle('hold', (_, { signal }) => opened(new Gate(), signal))
    const { pid } = memberOf(hub, 'ann')
    const running = failure(hub.to('ann').request('hold'))
    await until(() => linksOf(hub, 'ann')[0]?.runningTasks === 1, 'it works')
    const reload = hub.reload()
    await until(() => memberOf(hub, 'ann').incarnation === 2, 'the new one has taken over')
    process.kill(pid as number, 'SIGKILL')
    assert.equal((await running).code, 'ERR_HUB_MEMBER_EXITED')
    await reload
    assert.deepEqual(diary, ['starting ann 1>2 0/1', 'draining ann 1>2 0/1', 'done ann 1>2 1/1'])
  })
})

test('hub.close() during a reload ends all processes, and the reload', async () => {
  const app = new App(works)
  await withApp(app, { workers: [{ id: 'ann', exec: app.exec }] }, async (hub) => {
    const { pids } = holdBack(hub, app)
    const { pid } = memberOf(hub, 'ann')
    const reload = failure(hub.reload())
    const queued = failure(hub.reload({ concurrency: 2 }))
    await until(() => pids.length === 1, 'the new one is starting')
    await hub.close()
    assert.deepEqual([alive(pid), alive(pids[0])], [false, false])
    assert.equal((await reload).code, 'ERR_HUB_CLOSED')
    assert.equal((await queued).code, 'ERR_HUB_CLOSED')
    assert.equal((await failure(hub.reload())).code, 'ERR_HUB_CLOSED')
  })
})

test('hub.stop() of a worker during its reload stops both of its processes; the reload goes on with the others', async () => {
  const app = new App(works)
  const workers = ['ann', 'bob'].map((id) => ({ id, exec: app.exec }))
  await withApp(app, { workers }, async (hub) => {
    const { gate, pids } = holdBack(hub, app)
    const { pid } = memberOf(hub, 'ann')
    const reload = hub.reload()
    await until(() => pids.length === 1, 'the new one is starting')
    await hub.stop('ann')
    assert.deepEqual([alive(pid), alive(pids[0])], [false, false])
    gate.open()
    await reload
    assert.deepEqual(
      hub.members.slice(1).map(({ incarnation, state }) => [incarnation, state]),
      [
        [1, 'stopped'],
        [2, 'ready'],
      ],
    )
    assert.equal((await failure(hub.reload({ ids: ['ann'] }))).code, 'ERR_HUB_NO_MEMBER')
    // Nor does one of all start it.
    await hub.reload()
    assert.equal(memberOf(hub, 'ann').state, 'stopped')
  })
})

test('hub.restart() of a worker during its reload does the rest of it at once', async () => {
  const app = new App(works)
  await withApp(app, { workers: [{ id: 'ann', exec: app.exec }] }, async (hub) => {
    const { gate, pids } = holdBack(hub, app)
    const { pid } = memberOf(hub, 'ann')
    const reload = hub.reload()
    await until(() => pids.length === 1, 'the new one is starting')
    const restart = hub.restart('ann')
    await until(() => pids.length === 2, 'another one is starting')
    gate.open()
    await Promise.all([restart, reload])
    assert.deepEqual([alive(pid), alive(pids[0])], [false, false])
    assert.equal(await pidOf(hub), pids[1])
    assert.equal(linksOf(hub, 'ann').length, 1)
  })
})

test('a reload brings back a worker that had been given up', async () => {
  const app = new App(`${works}; hub.handle('die', () => process.exit(1))`)
  const options = { intensity: { restarts: 0, period: 60_000 } }
  await withApp(app, { workers: [{ id: 'ann', exec: app.exec }], ...options }, async (hub) => {
    await failure(hub.to('ann').request('die'))
    await until(() => memberOf(hub, 'ann').state === 'given-up', 'it is given up')
    await hub.reload()
    assert.equal(await pidOf(hub), memberOf(hub, 'ann').pid)
  })
})

test('reloads follow one another; one that has not begun serves all who ask for the same', async () => {
  const app = new App(works)
  const workers = ['ann', 'bob'].map((id) => ({ id, exec: app.exec }))
  await withApp(app, { workers }, async (hub, diary) => {
    const { gate, pids } = holdBack(hub, app)
    const first = hub.reload({ ids: ['ann'] })
    await until(() => pids.length === 1, 'the first one has begun')
    const second = [hub.reload({ ids: ['ann'] }), hub.reload({ ids: ['ann'] })]
    const third = hub.reload({ ids: ['bob'] })
    gate.open()
    await Promise.all([first, ...second, third])
    assert.deepEqual(
      diary.filter((entry) => entry.startsWith('starting')),
      ['starting ann 1>2 0/1', 'starting ann 2>3 0/1', 'starting bob 1>2 0/1'],
    )
    const { length } = diary
    await Promise.all([hub.reload(), hub.reload({ ids: ['bob', 'ann'] })])
    assert.equal(diary.length - length, 6, 'both ids are all')
  })
})

test('who is meant: roles, ids, or all; what nobody has is refused, and so is what cannot be', async () => {
  const app = new App(works)
  const workers = [
    { role: 'web', count: 2, exec: app.exec },
    { id: 7, exec: app.exec },
  ]
  await withApp(app, { workers }, async (hub) => {
    const incarnations = () => hub.members.slice(1).map(({ incarnation }) => incarnation)
    await hub.reload({ roles: ['web'], concurrency: 5 })
    assert.deepEqual(incarnations(), [2, 2, 1])
    await hub.reload({ ids: [7, 'web-2'] })
    assert.deepEqual(incarnations(), [2, 3, 2])
    const refusals: [unknown, string, RegExp][] = [
      [{ roles: ['wbe'] }, 'ERR_HUB_NO_MEMBER', /no worker of this hub has the role "wbe". There are: "web"\./],
      [{ ids: ['x'] }, 'ERR_HUB_NO_MEMBER', /no worker of this hub has the id "x". There are: "web-1", "web-2", "7"\./],
      [{ concurrency: 0 }, 'ERR_INVALID_ARG_VALUE', /concurrency must be a whole number from 1 on, not 0/],
      [{ role: 'web' }, 'ERR_INVALID_ARG_VALUE', /unknown option "role". Did you mean "roles"\?/],
      [{ ids: 'web-1' }, 'ERR_INVALID_ARG_VALUE', /ids must be a list/],
    ]
    for (const [options, code, message] of refusals) {
      const error = await failure(hub.reload(options as object))
      assert.equal(error.code, code)
      assert.match(error.message, message)
    }
    assert.deepEqual(incarnations(), [2, 3, 2])
  })
})

test.run()
