import cluster from 'node:cluster'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { forkWorker, type WorkerExit, type WorkerProcess } from '#lib/supervisor/process.js'
import type { WorkerSpec } from '#lib/types.js'
import { fixture, seats, until } from './harness.js'

const started: WorkerProcess[] = []
test.after.each(() => {
  for (const worker of started.splice(0)) worker.kill('SIGKILL')
})

function start(spec: Partial<WorkerSpec> = {}) {
  const [seat] = seats([{ id: 'a', ...spec } as WorkerSpec])
  assert.ok(seat)
  const worker = forkWorker(seat, 1)
  started.push(worker)
  const messages: unknown[] = []
  const exits: WorkerExit[] = []
  worker.onmessage = (message) => messages.push(message)
  worker.onexit = (exit) => exits.push(exit)
  return { worker, messages, exits, ended: () => until(() => exits.length > 0, 'the exit') }
}

/** What goes to process.stderr meanwhile. */
async function captureStderr(run: () => Promise<void>): Promise<Buffer> {
  const chunks: Buffer[] = []
  const { write } = process.stderr
  process.stderr.write = ((chunk: Buffer, callback: (error?: Error) => void) => {
    chunks.push(Buffer.from(chunk))
    process.nextTick(callback)
    return true
  }) as typeof process.stderr.write
  try {
    await run()
  } finally {
    process.stderr.write = write
  }
  return Buffer.concat(chunks)
}

test('forks with its own settings and environment', async () => {
  const { worker, messages } = start({ args: ['x', '--y'], env: { HUBWIRE_PROTOCOL: 'no' } })
  await until(() => messages.length > 0, 'ready')
  assert.equal(messages, [{ ready: true, protocol: '1', argv: ['x', '--y'] }])
  assert.type(worker.pid, 'number')
  assert.ok(worker.connected)
})

/** Has it stopped, and sends it a handle, which it will never take. Returns the handle's end. */
async function sendInVain(worker: WorkerProcess): Promise<() => void> {
  worker.kill('SIGSTOP')
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  await new Promise<void>((resolve, reject) => {
    worker.send({ take: 'this' }, (error) => (error ? reject(error) : resolve()), server)
  })
  return () => server.close()
}

test('its end is told at once, also with a handle on its way that it never took', async () => {
  const { worker, messages, exits } = start()
  await until(() => messages.length > 0, 'ready')
  const close = await sendInVain(worker)
  worker.kill('SIGKILL')
  // As long as it would wait for a channel that somebody else keeps open, and a moment ahead of that.
  await Promise.race([until(() => exits.length > 0, 'the exit'), new Promise((resolve) => setTimeout(resolve, 1000))])
  close()
  assert.is(exits[0]?.signal, 'SIGKILL')
})

test('cluster keeps no worker of whose disconnection Node does not tell', async () => {
  const { worker, messages, ended } = start()
  await until(() => messages.length > 0, 'ready')
  // So that the exit is noticed first, as it is by chance otherwise.
  worker.send({ do: 'lend-channel' }, () => {})
  await until(() => messages.length > 1, 'another process has the channel, too')
  const close = await sendInVain(worker)
  let disconnections = 0
  worker.channel?.on('disconnect', () => disconnections++)
  worker.kill('SIGKILL')
  await ended()
  close()
  const kept = Object.values(cluster.workers ?? {}).filter((one) => one?.process.pid === worker.pid)
  assert.equal([kept, disconnections], [[], 0])
})

test("leaves cluster's settings exactly as they were, before and after the user sets some", async () => {
  const before = cluster.settings
  const { worker } = start()
  assert.is(cluster.settings, before)
  cluster.setupPrimary({
    exec: fixture('plain.cjs'),
    args: ['mine'],
    execArgv: ['--no-warnings'],
    serialization: 'json',
  })
  const own = cluster.settings
  const copy = { ...own }
  start()
  assert.is(cluster.settings, own)
  assert.equal({ ...cluster.settings }, copy)

  const user = cluster.fork()
  const [, message] = await new Promise<[unknown, unknown]>((resolve) =>
    user.once('message', (message: unknown) => resolve([user, message])),
  )
  assert.equal(message, { argv: ['mine'], execArgv: ['--no-warnings'] })
  assert.is(user.process.stderr, null)
  user.send('done')
  await once(user, 'exit')
  assert.ok(worker.pid)
})

test('everything sent before process.exit() arrives before onexit, which comes once', async () => {
  for (const [count, size] of [
    [5000, 10],
    [30, 200_000],
  ] as const) {
    const { worker, messages, exits, ended } = start()
    await until(() => messages.length > 0, 'ready')
    let atExit = -1
    const record = worker.onexit
    worker.onexit = (exit) => {
      atExit = messages.length
      record?.(exit)
    }
    worker.send({ do: 'burst', count, size }, () => {})
    await ended()
    assert.is(atExit, count + 1)
    assert.equal(
      messages.slice(1).map((message) => (message as { n: number }).n),
      Array.from({ length: count }, (_, index) => index + 1),
    )
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.equal(exits, [{ code: 0, signal: null }])
  }
})

test('passes stderr through unchanged and keeps the end of it', async () => {
  const text = `${Array.from({ length: 2000 }, (_, n) => `line ${n} äöü📮`).join('\n')}\n`
  let tail = ''
  const seen = await captureStderr(async () => {
    const { worker, messages, exits, ended } = start()
    await until(() => messages.length > 0, 'ready')
    worker.send({ do: 'exit', code: 9, stderr: text }, () => {})
    await ended()
    assert.equal(exits, [{ code: 9, signal: null }])
    tail = worker.stderrTail
  })
  assert.is(seen.toString(), text)
  assert.ok(text.endsWith(tail))
  assert.ok(Buffer.byteLength(tail) <= 4096 && Buffer.byteLength(tail) > 4000)
  assert.ok(tail.startsWith('line '))
})

test('a tail without lines begins with a whole character', async () => {
  for (const pad of ['', 'x', 'xx', 'xxx']) {
    await captureStderr(async () => {
      const { worker, messages, ended } = start()
      await until(() => messages.length > 0, 'ready')
      worker.send({ do: 'exit', code: 0, stderr: '📮'.repeat(3000) + pad }, () => {})
      await ended()
      assert.match(worker.stderrTail, /^(📮)+x*$/u)
      assert.ok(Buffer.byteLength(worker.stderrTail) > 4090)
    })
  }
})

test("stderr: 'inherit' is untouched", async () => {
  const { worker, messages } = start({ stderr: 'inherit' })
  await until(() => messages.length > 0, 'ready')
  assert.is(worker.stderrTail, '')
})

test('a grandchild that holds stderr or the channel does not delay the exit for long', async () => {
  for (const [env, limit] of [
    [{}, 1000],
    [{ HOLD: 'channel' }, 2500],
  ] as const) {
    const { worker, exits, ended } = start({ exec: fixture('grandparent.mjs'), env })
    await until(() => !worker.kill(0), 'the end of the process')
    const time = performance.now()
    await ended()
    assert.ok(performance.now() - time < limit)
    assert.equal(exits, [{ code: 5, signal: null }])
  }
})

test('send never throws, and calls back exactly once', async () => {
  const { worker, messages, ended } = start()
  await until(() => messages.length > 0, 'ready')
  const outcomes: string[] = []
  const note = (error: Error | null) => outcomes.push((error as { code?: string } | null)?.code ?? error?.name ?? 'ok')
  worker.send({ do: 'nothing' }, note)
  await until(() => outcomes.length === 1, 'sent')
  worker.send({ f: () => {} }, note)
  worker.send(undefined, note)
  assert.is(outcomes.length, 1)
  await until(() => outcomes.length === 3, 'refused')
  assert.is(outcomes[0], 'ok')
  assert.not.match(outcomes.slice(1).join(), /ok/)
  // Dying with much on its way: every callback is called before onexit.
  let called = 0
  worker.kill('SIGKILL')
  for (let n = 0; n < 100; n++) worker.send({ text: 'x'.repeat(100_000) }, () => called++)
  await ended()
  assert.is(called, 100)
  worker.send({ late: true }, note)
  await until(() => outcomes.length === 4, 'refused')
  assert.is(outcomes[3], 'ERR_IPC_CHANNEL_CLOSED')
  assert.not.ok(worker.connected)
  assert.not.ok(worker.kill('SIGTERM'))
})

test('a process that cannot be started ends with a message', async () => {
  const { execPath } = process
  process.execPath = '/nowhere/node'
  let failed: ReturnType<typeof start>
  try {
    failed = start()
  } finally {
    process.execPath = execPath
  }
  const refused = start({ args: ['a\0b'] })
  assert.is(failed.exits.length + refused.exits.length, 0)
  await failed.ended()
  await refused.ended()
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.is(failed.exits.length, 1)
  assert.match(failed.exits[0]?.message ?? '', /ENOENT/)
  assert.is(failed.exits[0]?.code, null)
  assert.is(refused.exits.length, 1)
  assert.match(refused.exits[0]?.message ?? '', /null bytes/)
  assert.not.ok(Object.values(cluster.workers ?? {}).some((worker) => worker?.process.pid === undefined))
})

test.run()
