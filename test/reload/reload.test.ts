import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'uvu'
import { Gate } from '../end-to-end/support.js'
import { App, alive, linksOf, memberOf, until, withApp } from './app.js'

const version = (name: string) => `
  hub.handle('version', () => '${name}')
  hub.handle('pid', () => process.pid)
`

test('seat by seat a new process from the files as they are now takes over, and the old one goes', async () => {
  const app = new App(version('one'))
  await withApp(app, { workers: [{ role: 'web', count: 2, exec: app.exec }] }, async (hub, diary) => {
    const before = hub.members.map(({ pid }) => pid).slice(1)
    const states = new Set<string>()
    const watch = setInterval(() => {
      for (const { state } of hub.members) states.add(state)
    }, 1)
    app.write(version('two'))
    assert.equal(await hub.to('web-1').request('version'), 'one')
    const reloaded = await hub.reload()
    clearInterval(watch)
    assert.deepEqual(
      reloaded.map(({ id, incarnation, state }) => [id, incarnation, state]),
      [
        ['web-1', 2, 'ready'],
        ['web-2', 2, 'ready'],
      ],
    )
    for (const pid of before) assert.equal(alive(pid), false, 'the old process is gone')
    for (const { id, pid } of reloaded) {
      assert.equal(await hub.to(id).request('version'), 'two')
      assert.equal(await hub.to(id).request('pid'), pid)
    }
    assert.deepEqual([...states], ['ready'], 'nobody was ever seen absent')
    assert.deepEqual(diary, [
      'starting web-1 1>2 0/2',
      'draining web-1 1>2 0/2',
      'done web-1 1>2 1/2',
      'starting web-2 1>2 1/2',
      'draining web-2 1>2 1/2',
      'done web-2 1>2 2/2',
    ])
    assert.deepEqual(
      hub.stats().links?.map(({ id, incarnation }) => `${id}/${incarnation}`),
      ['primary/1', 'web-1/2', 'web-2/2'],
    )
  })
})

test('what a seat listens to and serves is that of the process that has it', async () => {
  const app = new App(`
    for (const event of ['both', 'early']) hub.on(event, () => hub.to('primary').emit('heard', 'one', event))
    hub.handle('early', () => 'one'); hub.handle('both', () => 'one')
  `)
  await withApp(app, { workers: [{ id: 'ann', exec: app.exec }] }, async (hub) => {
    const heard: string[] = []
    hub.on('heard', (name, event) => heard.push(`${name} ${event}`))
    const emitAll = async () => {
      for (const event of ['early', 'both', 'late']) hub.emit(event)
      await hub.to('ann').request('both')
    }
    await emitAll()
    app.write(`
      for (const event of ['both', 'late']) hub.on(event, () => hub.to('primary').emit('heard', 'two', event))
      hub.handle('late', () => 'two'); hub.handle('both', () => 'two')
    `)
    await hub.reload()
    await emitAll()
    await hub.drained()
    assert.deepEqual(heard, ['one early', 'one both', 'two both', 'two late'])
    assert.equal(linksOf(hub, 'ann')[0]?.droppedEvents, 0, 'what nobody listens to was not sent')
    assert.equal(await hub.delegate('late'), 'two')
    await assert.rejects(hub.to('ann').request('early'), { code: 'ERR_HUB_NO_HANDLER' })
  })
})

test('a stream of mail goes to exactly one of the two, in order: none is lost, none doubled', async () => {
  const app = new App(`
    hub.on('mail', (from, n) => hub.to('primary').emit('got', process.pid, from, n))
    hub.handle('task', ([from, n]) => { hub.to('primary').emit('got', process.pid, from, n) })
    hub.handle('stream', async (name) => {
      let n = 0
      let on = true
      hub.once('enough', () => { on = false })
      while (on) {
        for (let i = 0; i < 20; i++) hub.to('ann').emit('mail', name, n++)
        await hub.to('ann').request('task', [name, n++])
        await new Promise(setImmediate)
      }
      return n
    })
  `)
  const workers = ['ann', 'bob', 'cem'].map((id) => ({ id, exec: app.exec }))
  await withApp(app, { workers }, async (hub) => {
    const got = new Map<string, Map<number, number[]>>()
    hub.on('got', (pid: number, from: string, n: number) => {
      const byProcess = got.get(from) ?? new Map<number, number[]>()
      got.set(from, byProcess)
      const list = byProcess.get(pid)
      if (list) list.push(n)
      else byProcess.set(pid, [n])
    })
    const streams = ['bob', 'cem'].map((id) => hub.to(id).timeout(Number.POSITIVE_INFINITY).request('stream', id))
    for (let reload = 0; reload < 4; reload++) await hub.reload({ ids: ['ann'] })
    hub.emit('enough')
    const counts = (await Promise.all(streams)) as number[]
    const total = () => [...got.values()].flatMap((byProcess) => [...byProcess.values()]).flat().length
    await until(() => total() >= counts.reduce((a, b) => a + b), 'all has arrived')
    for (const [index, from] of ['bob', 'cem'].entries()) {
      const lists = [...(got.get(from) as Map<number, number[]>).values()]
      assert.ok(lists.length > 1, 'several processes had some of it')
      for (const list of lists)
        assert.deepEqual(
          list,
          [...list].sort((a, b) => a - b),
          'in order in each process',
        )
      lists.sort((a, b) => (a[0] as number) - (b[0] as number))
      const expected = Array.from({ length: counts[index] as number }, (_, n) => n)
      assert.deepEqual(lists.flat(), expected, 'from one point on to the next process, each once')
    }
  })
})

test('tasks that run finish in the old process, those that are queued move, and its own calls are answered', async () => {
  const app = new App(`
    const pid = process.pid
    hub.handle('pid', () => pid)
    hub.handle('work', async (key) => {
      hub.to('primary').emit('begun', key, pid)
      await hub.to('primary').request('gate', key)
      hub.to('primary').emit('late', key, pid)
      return pid
    }, { concurrency: 1 })
  `)
  await withApp(app, { workers: [{ id: 'ann', exec: app.exec }] }, async (hub) => {
    const gates = new Map(['a', 'b', 'c'].map((key) => [key, new Gate()]))
    hub.handle('gate', (key: string) => gates.get(key)?.opened)
    const begun: [string, number][] = []
    const late: [string, number][] = []
    hub.on('begun', (...entry: [string, number]) => begun.push(entry))
    hub.on('late', (...entry: [string, number]) => late.push(entry))
    const old = memberOf(hub, 'ann').pid
    const running = hub.to('ann').request('work', 'a')
    const queued = [hub.to('ann').request('work', 'b'), hub.delegate('work', 'c')]
    await until(() => begun.length === 1 && linksOf(hub, 'ann')[0]?.queuedTasks === 1, 'one runs, and others wait')
    const reload = hub.reload()
    await until(() => begun.length === 2, 'a queued one has moved')
    const next = memberOf(hub, 'ann').pid
    assert.deepEqual(begun, [
      ['a', old],
      ['b', next],
    ])
    assert.deepEqual(
      linksOf(hub, 'ann').map(({ incarnation, state, runningTasks }) => [incarnation, state, runningTasks]),
      [
        [2, 'ready', 1],
        [1, 'stopping', 1],
      ],
    )
    const others = await Promise.all(Array.from({ length: 6 }, () => hub.delegate('pid')))
    assert.deepEqual(others, Array(6).fill(next), 'new tasks go to the new one alone')
    // The reply to the old one's own request reaches it, and nobody else.
    gates.get('a')?.open()
    assert.equal(await running, old)
    await reload
    assert.equal(alive(old), false)
    assert.deepEqual(late, [['a', old]])
    gates.get('b')?.open()
    gates.get('c')?.open()
    assert.deepEqual(await Promise.all(queued), [next, next])
  })
})

test('until hub.ready() is called by hand, the old one has everything', async () => {
  const app = new App(version('one'))
  await withApp(app, { workers: [{ id: 'ann', exec: app.exec }] }, async (hub, diary) => {
    app.write(
      `${version('two')}
       await hub.to('primary').request('warm-up')
       hub.ready()`,
      `{ ready: 'manual' }`,
    )
    const warm = new Gate()
    let warming = false
    hub.handle('warm-up', () => {
      warming = true
      return warm.opened
    })
    const reload = hub.reload()
    await until(() => warming, 'the new one has joined')
    assert.equal(await hub.to('ann').request('version'), 'one')
    assert.equal(await hub.delegate('version'), 'one')
    assert.deepEqual(diary, ['starting ann 1>2 0/1'])
    warm.open()
    await reload
    assert.equal(await hub.to('ann').request('version'), 'two')
  })
})

test('an old process that does not end within gracePeriod is killed, and says so', async () => {
  const app = new App(
    `hub.handle('stick', () => new Promise(() => setInterval(() => {}, 1000)))`,
    `{ onStop: () => new Promise(() => {}) }`,
  )
  await withApp(app, { workers: [{ id: 'ann', exec: app.exec, gracePeriod: 300 }] }, async (hub) => {
    const exits: unknown[] = []
    hub.lifecycle.on('reload', (_, { phase, exit }) => phase === 'done' && exits.push(exit))
    const stuck = hub.to('ann').request('stick')
    stuck.catch(() => {})
    const warned = once(process, 'warning')
    await hub.reload()
    const [{ message }] = await warned
    assert.match(message, /"ann" did not end within 300 ms \(gracePeriod\)/)
    await assert.rejects(stuck, { code: 'ERR_HUB_MEMBER_EXITED' })
    assert.deepEqual(exits, [{ code: null, signal: 'SIGKILL' }])
    assert.equal(memberOf(hub, 'ann').state, 'ready')
  })
})

test.run()
