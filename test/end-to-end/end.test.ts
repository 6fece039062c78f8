import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { alive, PrimaryProcess, until } from './conditions.js'

async function withPrimary(env: Record<string, string>, run: (primary: PrimaryProcess) => Promise<void>) {
  const primary = new PrimaryProcess('life', env)
  try {
    await run(primary)
  } finally {
    primary.end()
  }
}

const gone = (pids: unknown, who: string) =>
  until(() => !(pids as number[]).some((pid) => alive(pid)), `${who} are gone`)

test('when all of a role have given up the process ends, and says why', async () => {
  const env = {
    WORKERS: JSON.stringify([{ role: 'web', count: 2, intensity: { restarts: 0, period: 1000 } }, { id: 'other' }]),
  }
  await withPrimary(env, async (primary) => {
    const pids = (await primary.told('ready')).ready
    primary.child.send({ id: 'web-1', task: 'exit', input: { code: 4 } })
    await primary.told('exit')
    primary.child.send({ id: 'other', task: 'ping' })
    // One is left.
    assert.is((await primary.told('ping')).ping, 'pong')
    primary.child.send({ id: 'web-2', task: 'exit', input: { code: 4 } })
    assert.equal(await primary.ended, [1, null])
    assert.match(primary.stderr, /every worker of "web" failed too often/)
    // In good order.
    assert.ok(primary.messages.some(({ stopping }) => stopping === 'other'))
    await gone(pids, 'the workers')
  })
})

test('… unless somebody listens to give-up', async () => {
  const env = {
    WORKERS: JSON.stringify([{ id: 'a', intensity: { restarts: 0, period: 1000 } }, { id: 'b' }]),
    LISTEN_TO: 'give-up',
  }
  await withPrimary(env, async (primary) => {
    await primary.told('ready')
    primary.child.send({ id: 'a', task: 'exit', input: { code: 4 } })
    assert.is((await primary.told('give-up'))['give-up'], 'a')
    primary.child.send({ id: 'b', task: 'ping' })
    assert.is((await primary.told('ping')).ping, 'pong')
    primary.child.kill('SIGTERM')
    assert.equal(await primary.ended, [0, null])
  })
})

test('Ctrl-C in a terminal: what runs is answered, all is stopped in order, and the exit code is 0', async () => {
  await withPrimary({ WORKERS: JSON.stringify([{ role: 'web', count: 2 }]) }, async (primary) => {
    const pids = (await primary.told('ready')).ready as number[]
    primary.child.send({ id: 'web-1', task: 'work', input: 6 })
    primary.child.send({ id: 'web-1', task: 'ping' })
    await primary.told('ping')
    primary.signalGroup('SIGINT')
    await until(() => primary.messages.some(({ stopping }) => stopping === 'web-2'), 'who has nothing to do stops')
    assert.not(primary.messages.some(({ stopping }) => stopping === 'web-1'))
    assert.is(primary.child.exitCode, null)
    process.kill(pids[1] as number, 'SIGUSR2')
    assert.equal(await primary.ended, [0, null])
    assert.is(primary.messages.find(({ work }) => work)?.work, 12)
    assert.ok(primary.messages.some(({ stopping }) => stopping === 'web-1'))
    assert.is(primary.stderr, '')
    await gone(pids, 'the workers')
  })
})

test('Ctrl-C while the workers start ends the process in order, too', async () => {
  const start = new URL('./workers/start.js', import.meta.url).pathname
  for (const how of ['manual', 'idle']) {
    const workers = [{ id: 'a', exec: start, env: { START: how } }]
    await withPrimary({ WORKERS: JSON.stringify(workers) }, async (primary) => {
      await until(() => primary.stderr !== '', 'the worker has started')
      const { stderr } = primary
      primary.signalGroup('SIGINT')
      assert.equal(await primary.ended, [0, null], how)
      assert.is(primary.stderr, stderr)
    })
  }
})

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`a second ${signal} ends at once`, async () => {
    const workers = JSON.stringify([{ id: 'a', env: { STUBBORN: '1' }, gracePeriod: 60_000 }])
    await withPrimary({ WORKERS: workers }, async (primary) => {
      const pids = (await primary.told('ready')).ready
      primary.signalGroup('SIGTERM')
      await primary.told('stopping')
      // Later than an echo of the first could come.
      await new Promise((resolve) => setTimeout(resolve, 100))
      primary.signalGroup(signal)
      assert.equal(await primary.ended, [code, null])
      await gone(pids, 'the workers')
    })
  })
}

test('a worker that has to be killed makes the exit code 1, and is named', async () => {
  const workers = JSON.stringify([{ id: 'a', env: { STUBBORN: '1' }, gracePeriod: 300 }, { id: 'b' }])
  await withPrimary({ WORKERS: workers }, async (primary) => {
    const pids = (await primary.told('ready')).ready
    primary.child.kill('SIGTERM')
    assert.equal(await primary.ended, [1, null])
    assert.match(primary.stderr, /"a" did not end within 300 ms \(gracePeriod\)/)
    assert.not.match(primary.stderr, /"b"/)
    await gone(pids, 'the workers')
  })
})

test('an exit code of your own is kept', async () => {
  await withPrimary({ WORKERS: JSON.stringify([{ id: 'a' }]), EXIT_CODE: '17' }, async (primary) => {
    await primary.told('ready')
    primary.child.kill('SIGINT')
    assert.equal(await primary.ended, [17, null])
  })
})

test('no worker outlives a primary that was killed, and its port is free', async () => {
  await withPrimary(
    {
      WORKERS: JSON.stringify([
        { role: 'web', count: 2 },
        { id: 'stubborn', env: { STUBBORN: '1' } },
      ]),
    },
    async (primary) => {
      const pids = (await primary.told('ready')).ready
      primary.child.send({ id: 'web-1', task: 'listen' })
      const port = (await primary.told('listen')).listen as number
      assert.is(await (await fetch(`http://127.0.0.1:${port}`)).text(), 'here')
      primary.child.kill('SIGKILL')
      await gone(pids, 'all processes')
      const server = createServer().listen(port, '127.0.0.1')
      await once(server, 'listening')
      server.close()
    },
  )
})

test('stderr passes through, and its tail is in error messages unless it is inherited', async () => {
  const bad = new URL('./workers/start.js', import.meta.url).pathname
  for (const stderr of ['tail', 'inherit']) {
    const workers = [{ id: 'bad', exec: bad, env: { START: 'exit' }, stderr }]
    await withPrimary({ WORKERS: JSON.stringify(workers) }, async (primary) => {
      assert.equal(await primary.ended, [1, null])
      // As it was written, and then in what startHub was rejected with.
      assert.is(primary.stderr.indexOf('one line\nno database\n'), 0)
      assert.is(primary.stderr.split('no database').length - 1, stderr === 'tail' ? 2 : 1)
      assert.match(primary.stderr, /"bad".*code 7/)
    })
  }
})

test.run()
test.run()
