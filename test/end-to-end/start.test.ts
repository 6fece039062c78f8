import { fork } from 'node:child_process'
import cluster from 'node:cluster'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { HubError, type HubOptions, isHubMessage, joinHub, startHub, type WorkerSpec } from 'hubwire'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { alive, failure, pidOf, until, withHub } from './conditions.js'

const exec = new URL('./workers/start.js', import.meta.url)
const START = (how: string, more: object = {}) => ({ exec, env: { START: how, ...more } })
const never = Number.POSITIVE_INFINITY

/** Starts a hub that cannot start, and checks that nothing of it stays. */
async function failedStart(workers: readonly object[], options: HubOptions = {}) {
  const pids: (number | undefined)[] = []
  const forked = (worker: { process: { pid?: number } }) => pids.push(worker.process.pid)
  cluster.on('fork', forked)
  const listeners = process.listenerCount('SIGINT')
  try {
    const error = await failure(startHub({ workers: workers as WorkerSpec[], ...options }))
    assert.instance(error, HubError)
    assert.equal(pids.filter(alive), [], 'processes stay')
    assert.is(process.listenerCount('SIGINT'), listeners)
    return { code: error.code, message: error.message, forked: pids.length }
  } finally {
    cluster.removeListener('fork', forked)
  }
}

test('startHub rejects with id, exit code and the last of stderr when a worker dies at start', async () => {
  const { code, message, forked } = await failedStart([
    { id: 'good', exec },
    { id: 'bad', ...START('exit') },
  ])
  assert.is(code, 'ERR_HUB_MEMBER_EXITED')
  assert.match(message, /^Worker "bad" \(/)
  assert.match(message, 'code 7')
  assert.match(message, /no database$/)
  assert.is(forked, 2)
})

test('… when it throws on import, after joining, is killed, or ends', async () => {
  const cases: [string, RegExp, RegExp][] = [
    ['throw', /code 1/, /Error: thrown on import/],
    ['reject', /code 1/, /Error: thrown after joining/],
    ['killed', /SIGKILL/, /wrote nothing/],
    ['done', /code 0/, /Call joinHub\(\) in it/],
  ]
  for (const [how, exit, why] of cases) {
    const { code, message } = await failedStart([{ id: 101, ...START(how) }])
    assert.is(code, 'ERR_HUB_MEMBER_EXITED', how)
    assert.match(message, /^Worker "101" \(/)
    assert.match(message, exit)
    assert.match(message, why)
  }
})

test('… when it never joins, or never is ready', async () => {
  // Time for the first to say something, and for the second to join.
  const readyTimeout = 4000
  for (const [how, hint] of [
    ['idle', /I wait for something else/],
    ['manual', /hub\.ready\(\)/],
  ] as const) {
    const { code, message } = await failedStart([
      { role: 'web', readyTimeout, ...START(how) },
      { id: 'good', exec },
    ])
    assert.is(code, 'ERR_HUB_TIMEOUT')
    assert.match(message, /"web-1"/)
    assert.match(message, `within ${readyTimeout} ms`)
    assert.match(message, hint)
  }
})

test('ids that are used twice or cannot be used are named', async () => {
  const cases: [WorkerSpec[], RegExp][] = [
    [
      [
        { id: 'a', exec },
        { id: 'a', exec },
      ],
      /"a" is used twice/,
    ],
    [
      [
        { id: 101, exec },
        { id: '101', exec },
      ],
      /"101" is used twice/,
    ],
    [
      [
        { role: 'web', count: 2, exec },
        { id: 'web-2', exec },
      ],
      /"web-2" is used twice/,
    ],
    [[{ id: '', exec }], /the id is empty/],
    [[{ id: 'primary', exec }], /"primary" is taken/],
    [[{ id: 'a\nb', exec }], /"a\\nb" contains control characters/],
    [[{ id: '\x11', exec }], /"\\u0011" contains control characters/],
    [[{ id: 1.5, exec }], /1\.5 is no usable id/],
    [[{ id: {} as string, exec }], /the id must be a string or an integer, not \{\}/],
    [[{ exec } as unknown as WorkerSpec], /needs an id or a role/],
    [[{ id: 'a', exec: './nowhere.js' }], /nowhere\.js does not exist/],
  ]
  for (const [workers, message] of cases) {
    const failed = await failedStart(workers)
    assert.is(failed.code, 'ERR_INVALID_ARG_VALUE')
    assert.match(failed.message, message)
    assert.is(failed.forked, 0)
  }
})

test('options that are unknown or wrong are named', async () => {
  const cases: [object, RegExp][] = [
    [{ worker: [] }, /^startHub\(\): unknown option "worker"\. Did you mean "workers"\?$/],
    [{ workers: {} }, /workers must be a list, such as .*, not \{\}\.$/],
    [{ workers: [{ id: 'a', exec, evn: {} }] }, /workers\[0\].*unknown option "evn"\. Did you mean "env"\?/],
    [{ workers: [{ role: 'web', exec, count: -1 }] }, /workers\[0\].*count/],
    [{ gracePeriod: -1 }, /gracePeriod/],
    [{ timeout: '5s' }, /^startHub\(\): timeout must be a number of milliseconds above 0, not "5s"\.$/],
    [{ maxMessageBytes: 0 }, /maxMessageBytes must be a number of at least 1, not 0/],
    [{ highWaterMark: 0 }, /highWaterMark/],
    [{ slowAfter: Number.NaN }, /slowAfter/],
    [{ signals: 'yes' }, /signals must be true or false, not "yes"/],
    [{ ready: 'soon' }, /ready must be "auto" or "manual", not "soon"/],
    [
      { restart: 'sometimes' },
      /^startHub\(\): restart must be "always" or "on-failure" or "never", not "sometimes"\.$/,
    ],
    [{ backoff: { min: 5, mx: 9 } }, /backoff: unknown option "mx"/],
  ]
  for (const [options, message] of cases) {
    const error = await failure(startHub(options))
    assert.is(error.code, 'ERR_INVALID_ARG_VALUE', JSON.stringify(options))
    assert.match(error.message, message)
  }
})

test('ids such as __proto__ are ordinary', async () => {
  const ids = ['__proto__', 'constructor', 'ключ', '😀']
  await withHub({ workers: ids.map((id) => ({ id, exec })) }, async (hub) => {
    for (const id of ids) assert.is(((await hub.to(id).request('who')) as { id: string }).id, id)
    assert.equal(
      hub.members.map(({ id }) => id),
      ['primary', ...ids],
    )
  })
})

test('one hub in a process, and none in a worker', async () => {
  const starting = startHub({ signals: false })
  assert.match((await failure(startHub())).message, /called twice/)
  const hub = await starting
  try {
    assert.match((await failure(startHub())).message, /called twice/)
    assert.match((await failure(joinHub())).message, /no cluster worker.*startHub\(\)/)
  } finally {
    await hub.close()
  }
})

test('misuse in a worker: startHub, a second joinHub, unknown options, use after close', async () => {
  const reports: { hubError: boolean; code: string; message: string }[] = []
  const listener = (_worker: unknown, message: (typeof reports)[number]) =>
    isHubMessage(message) || reports.push(message)
  cluster.on('message', listener)
  try {
    await withHub({ workers: [{ id: 'a', ...START('misuse') }] }, async (hub) => {
      const expected: [string, RegExp][] = [
        ['ERR_INVALID_ARG_VALUE', /startHub\(\) was called in a worker.*joinHub\(\)/],
        ['ERR_INVALID_ARG_VALUE', /joinHub\(\): unknown option "redy"\. Did you mean "ready"\?/],
        ['ERR_INVALID_ARG_VALUE', /joinHub\(\): give an object of options, not null\./],
        ['ERR_INVALID_ARG_VALUE', /joinHub\(\): ready must be/],
        ['ERR_INVALID_ARG_VALUE', /joinHub\(\) was called twice/],
        ['ERR_INVALID_ARG_VALUE', /unknown option .concurency/],
        ['ERR_INVALID_ARG_VALUE', /concurrency must be a whole number/],
        ['ERR_INVALID_ARG_VALUE', /no function/],
        ['ERR_INVALID_ARG_VALUE', /serves it already/],
        ['ERR_HUB_CLOSED', /emit\("late"\)/],
        ['ERR_HUB_CLOSED', /"late"/],
        ['ERR_INVALID_ARG_VALUE', /joinHub\(\) was called twice/],
      ]
      await hub.to('a').request('close')
      await until(() => reports.length === expected.length, 'all reports')
      for (const [index, [code, message]] of expected.entries()) {
        assert.is(reports[index]?.code, code, reports[index]?.message)
        assert.match(reports[index]?.message ?? '', message)
        assert.is(reports[index]?.hubError, true)
      }
    })
  } finally {
    cluster.removeListener('message', listener)
  }
})

test('joinHub in no cluster, under plain cluster with JSON, and with advanced serialization', async () => {
  const env = { ...process.env, START: 'foreign' }
  const child = fork(fileURLToPath(exec), { env })
  const [[alone]] = await Promise.all([once(child, 'message'), once(child, 'exit')])
  assert.is(alone.code, 'ERR_INVALID_ARG_VALUE')
  assert.match(alone.message, /no cluster worker/)

  for (const [serialization, hint, start, protocol] of [
    ['json', /serialization 'json'.*startHub\(\).*'advanced'/, 'foreign'],
    // Many applications teach JSON to write a bigint.
    ['json', /serialization 'json'.*startHub\(\).*'advanced'/, 'foreign-bigint'],
    ['advanced', /no hub forked this worker.*startHub\(/, 'foreign'],
    // A hub of another version did.
    ['advanced', /primary's hubwire speaks version 99 of the protocol.*restart the primary/, 'foreign', '99'],
  ] as const) {
    cluster.setupPrimary({ exec: fileURLToPath(exec), serialization })
    const worker = cluster.fork({ ...env, START: start, ...(protocol && { HUBWIRE_PROTOCOL: protocol }) })
    const [[report]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')])
    assert.is(report.code, 'ERR_HUB_PROTOCOL')
    assert.match(report.message, hint)
  }
})

test("PM2's cluster mode is told by its name, from either side; fork mode is not taken for it", async () => {
  const pm2 = (exec_mode: string) => ({ ...process.env, pm_id: '0', exec_mode })
  for (const [mode, start, serialization, code, message] of [
    ['cluster_mode', 'foreign', 'json', 'ERR_HUB_PROTOCOL', /joinHub\(\): PM2 forked.*exec_mode: 'fork', instances: 1/],
    [
      'cluster_mode',
      'foreign-start',
      'json',
      'ERR_INVALID_ARG_VALUE',
      /startHub\(\).*worker of PM2.*exec_mode: 'fork'/,
    ],
    ['fork_mode', 'foreign-start', 'json', 'ERR_INVALID_ARG_VALUE', /called in a worker\. It belongs in the primary/],
    ['fork_mode', 'foreign', 'advanced', 'ERR_HUB_PROTOCOL', /no hub forked this worker/],
  ] as const) {
    cluster.setupPrimary({ exec: fileURLToPath(exec), serialization })
    const worker = cluster.fork({ ...pm2(mode), START: start })
    const [[report]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')])
    assert.is(report.code, code)
    assert.match(report.message, message)
  }
})

test('a worker of another version is named in a warning; one of another protocol is refused', async () => {
  const warned = once(process, 'warning')
  const raw = { id: 'old', ...START('raw', { VERSION: '0.0.1', PROTOCOL: '1' }) }
  await withHub({ workers: [raw], gracePeriod: 0 }, async () => {
    const [warning] = await warned
    assert.match(warning.message, /^"old" runs hubwire 0\.0\.1, the primary \d+\.\d+\.\d+\. Restart the primary\.$/)
  })
  const other = { id: 'new', ...START('raw', { VERSION: '9.0.0', PROTOCOL: '9' }) }
  const { message } = await failedStart([other])
  assert.match(message, /joinHub\(\) in .*"new.*hubwire 9\.0\.0.*do not speak the same protocol/)
})

test('fork, stop and restart at run time', async () => {
  await withHub({ workers: [{ role: 'web', exec }], restart: 'never' }, async (hub) => {
    // From now on everybody knows them.
    assert.equal(
      (await hub.fork({ role: 'web', count: 2, exec, env: { GIVEN: 'x' }, args: ['--y'] })).map(
        ({ id, role, state, incarnation }) => [id, role, state, incarnation],
      ),
      [
        ['web-2', 'web', 'ready', 1],
        ['web-3', 'web', 'ready', 1],
      ],
    )
    const who = (await hub.to('web-3').request('who')) as { pid: number; env: string; args: string[] }
    assert.equal([who.env, who.args, who.pid], ['x', ['--y'], pidOf(hub, 'web-3')])

    assert.match((await failure(hub.fork({ id: 'web-1', exec }))).message, /"web-1" is used twice/)
    assert.match((await failure(hub.fork({ id: 'x', exec, cuont: 1 } as object as WorkerSpec))).message, /"cuont"/)
    const failed = await failure(hub.fork({ id: 'bad', ...START('exit') }))
    assert.is(failed.code, 'ERR_HUB_MEMBER_EXITED')
    assert.match(failed.message, /"bad".*code 7.*no database/s)
    assert.is(hub.members.length, 4)
    assert.is((await failure(() => hub.to('bad').emit('x'))).code, 'ERR_HUB_NO_MEMBER')

    const pid = pidOf(hub, 'web-2')
    await hub.stop('web-2')
    assert.is(alive(pid), false)
    const stopped = hub.members.find(({ id }) => id === 'web-2')
    assert.equal([stopped?.state, stopped?.pid], ['stopped', undefined])
    const exited = await failure(hub.to('web-2').request('who'))
    assert.is(exited.code, 'ERR_HUB_MEMBER_EXITED')
    assert.match(exited.message, /was stopped.*hub\.restart\("web-2"\)/)
    await hub.stop('web-2')

    await hub.restart('web-2')
    const again = hub.members.find(({ id }) => id === 'web-2')
    assert.equal([again?.state, again?.incarnation], ['ready', 2])
    assert.is(((await hub.to('web-2').request('who')) as { pid: number }).pid, again?.pid)
    await hub.restart('web-2')
    assert.is(hub.members.find(({ id }) => id === 'web-2')?.incarnation, 3)

    for (const verb of ['stop', 'restart'] as const) {
      const error = await failure(hub[verb]('nobody'))
      assert.is(error.code, 'ERR_HUB_NO_MEMBER')
      const known = '"web-1", "web-2", "web-3"'
      assert.match(
        error.message,
        `hub.${verb}("nobody"): no worker of this hub has that id. There are: ${known}. Name it in the workers of startHub()`,
      )
    }
    // An id that failed to start is free.
    assert.equal(
      (await hub.fork({ id: 'bad', exec })).map(({ id, incarnation }) => [id, incarnation]),
      [['bad', 2]],
    )
  })
})

test('numbers and strings are one id', async () => {
  await withHub({ workers: [{ id: 101, exec }], slowAfter: never }, async (hub) => {
    await hub.restart(101)
    assert.is(((await hub.to(101).request('who')) as { id: string }).id, '101')
    await hub.stop('101')
    assert.is((await failure(hub.to(101).request('who'))).code, 'ERR_HUB_MEMBER_EXITED')
  })
})

test.run()
