import assert from 'node:assert/strict'
import { test } from 'uvu'
import { Gate } from '../end-to-end/support.js'
import { App, alive, failure, linksOf, memberOf, until, withApp } from './app.js'

const works = `
  hub.handle('pid', () => process.pid)
  hub.handle('hold', () => hub.to('primary').request('hold'), { concurrency: 1 })`

test('a role grows and shrinks: the highest ones go, and what they work on is finished', async () => {
  const app = new App(works)
  await withApp(app, { workers: [{ role: 'web', count: 1, exec: app.exec }] }, async (hub, diary) => {
    const ids = () => hub.members.slice(1).map(({ id }) => id)
    const grown = await hub.scale('web', 3)
    assert.deepEqual(
      grown.map(({ id, state }) => [id, state]),
      ['web-1', 'web-2', 'web-3'].map((id) => [id, 'ready']),
    )
    assert.deepEqual(ids(), ['web-1', 'web-2', 'web-3'])
    const { pid } = memberOf(hub, 'web-3')
    const gate = new Gate()
    hub.handle('hold', () => gate.opened.then(() => 'held'))
    const running = hub.to('web-3').request('hold')
    await until(() => linksOf(hub, 'web-3')[0]?.runningTasks === 1, 'it works')
    const shrunk = hub.scale('web', 1)
    await until(() => diary.includes('leave web-2/1'), 'the idle one is gone')
    gate.open()
    assert.equal(await running, 'held')
    assert.deepEqual(
      (await shrunk).map(({ id }) => id),
      ['web-1'],
    )
    assert.equal(alive(pid), false)
    assert.deepEqual(ids(), ['web-1'])
    assert.equal((await failure(hub.to('web-3').request('pid'))).code, 'ERR_HUB_NO_MEMBER')
    // What comes back is another process.
    await hub.scale('web', 2)
    assert.equal(memberOf(hub, 'web-2').incarnation, 2)
    assert.ok(!diary.some((entry) => entry.startsWith('restart')))
  })
})

test('tasks that wait for a role are done by those that stay', async () => {
  const app = new App(works)
  await withApp(app, { workers: [{ role: 'web', count: 2, exec: app.exec }] }, async (hub) => {
    const gate = new Gate()
    let holding = 0
    hub.handle('hold', () => {
      holding++
      return gate.opened.then(() => 'held')
    })
    const calls = Array.from({ length: 6 }, () => hub.to({ role: 'web' }).delegate('hold'))
    await until(() => holding === 2, 'both work')
    const shrunk = hub.scale('web', 1)
    await until(() => memberOf(hub, 'web-2').state === 'stopping', 'one is going')
    gate.open()
    assert.deepEqual(await Promise.all(calls), Array(6).fill('held'))
    await shrunk
  })
})

test('to none, and from none; also of a role that began with none', async () => {
  const app = new App(works)
  await withApp(app, { workers: [{ role: 'web', count: 0, exec: app.exec }] }, async (hub) => {
    await hub.scale('web', 2)
    await hub.delegate('pid')
    assert.deepEqual(await hub.scale('web', 0), [])
    assert.equal(hub.members.length, 1)
    const error = await failure(hub.delegate('pid'))
    assert.equal(error.code, 'ERR_HUB_NO_HANDLER')
    await hub.scale('web', 1)
    await hub.delegate('pid')
  })
})

test('new workers that fail to start leave the role as it was', async () => {
  const app = new App(works)
  await withApp(app, { workers: [{ role: 'web', count: 1, exec: app.exec }] }, async (hub) => {
    app.writeAll('process.exit(4)')
    const error = await failure(hub.scale('web', 3))
    assert.match(error.message, /"web-\d".*exited with code 4 before it was ready/)
    assert.deepEqual(
      hub.members.map(({ id }) => id),
      ['primary', 'web-1'],
    )
  })
})

test('changes of scale and reloads follow one another', async () => {
  const app = new App(works)
  await withApp(app, { workers: [{ role: 'web', count: 2, exec: app.exec }] }, async (hub) => {
    const done: string[] = []
    await Promise.all([
      hub.reload().then(() => done.push('reload')),
      hub.scale('web', 3).then(() => done.push('up')),
      hub.scale('web', 1).then(() => done.push('down')),
      hub.reload({ concurrency: 2 }).then(() => done.push('again')),
    ])
    assert.deepEqual(done, ['reload', 'up', 'down', 'again'])
    assert.deepEqual(
      hub.members.slice(1).map(({ id, incarnation, state }) => [id, incarnation, state]),
      [['web-1', 3, 'ready']],
    )
  })
})

test('workers with ids of their own count, and stay; what cannot be is refused', async () => {
  const app = new App(works)
  const workers = [
    { role: 'web', count: 1, exec: app.exec },
    { id: 'special', role: 'web', exec: app.exec },
    { id: 'mailer', exec: app.exec },
  ]
  await withApp(app, { workers }, async (hub) => {
    const ids = () => hub.members.filter(({ role }) => role === 'web').map(({ id }) => id)
    await hub.scale('web', 3)
    assert.deepEqual(ids().sort(), ['special', 'web-1', 'web-2'])
    await hub.scale('web', 1)
    assert.deepEqual(ids(), ['special'])
    const refusals: [string, number, string, RegExp][] = [
      ['web', 0, 'ERR_INVALID_ARG_VALUE', /"special" of that role have ids of their own/],
      ['web', -1, 'ERR_INVALID_ARG_VALUE', /count must be a whole number from 0 on, not -1/],
      ['web', 1.5, 'ERR_INVALID_ARG_VALUE', /not 1\.5/],
      ['mailer', 2, 'ERR_HUB_NO_MEMBER', /no worker of this hub has the role "mailer". There are: "web"\./],
    ]
    for (const [role, count, code, message] of refusals) {
      const error = await failure(hub.scale(role, count))
      assert.equal(error.code, code)
      assert.match(error.message, message)
    }
  })
})

test.run()
