import cluster from 'node:cluster'
import { once } from 'node:events'
import { type PrimaryHub, startHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { fetch } from '../http/harness.js'
import { failure, linkOf, pidOf, until } from './conditions.js'
import { type Traces, traces } from './traces.js'

const chat = new URL('./workers/chat.js', import.meta.url)
const guest = new URL('./workers/guest.js', import.meta.url)

// Node's own listener on `process` is there from the first fork on.
cluster.setupPrimary()

test('a primary that has used all of it has nothing of it left when the hub is closed', async () => {
  const before = await traces()
  const settings = { ...cluster.settings }
  const hub = await startHub({
    slowAfter: 1,
    highWaterMark: 1000,
    backoff: { min: 1, max: 2 },
    workers: [
      { role: 'web', count: 2, exec: chat, hungAfter: 60_000 },
      { id: 'other', exec: chat },
    ],
  })
  try {
    await use(hub)
  } finally {
    await hub.close()
  }
  await assertSame(before)
  assert.equal({ ...cluster.settings }, settings)
  assert.equal(Object.keys(cluster.workers ?? {}), [])
})

/** All rooms of the house, and timers of all kinds: of calls, of slow links, of restarts, of what looks for hung workers. */
async function use(hub: PrimaryHub): Promise<void> {
  const listening = await hub.listen({ port: 0, host: '127.0.0.1', role: 'web' })
  const io = attachSocketIo(new Server({ connectionStateRecovery: {} }), hub)
  hub.onAny(() => {})
  assert.match((await fetch(listening.address().port, '/')).body, /^web-/)
  await io.fetchSockets()
  await hub.to('other').request('emit', { args: ['news'] })
  assert.is((await failure(hub.timeout(60_000).delegate('nobody serves this'))).code, 'ERR_HUB_NO_HANDLER')
  const stopped = pidOf(hub, 'web-1')
  const slow = once(hub.lifecycle, 'slow')
  process.kill(stopped, 'SIGSTOP')
  try {
    await until(() => {
      for (let n = 0; n < 20; n++) io.serverSideEmit('news', 'x'.repeat(1000))
      return linkOf(hub, 'web-1').slow
    }, 'a link is slow')
    await slow
  } finally {
    process.kill(stopped, 'SIGCONT')
  }
  const joined = once(hub.lifecycle, 'join')
  process.kill(pidOf(hub, 'web-2'), 'SIGKILL')
  await joined
}

async function assertSame(before: Traces): Promise<void> {
  // What is closed is gone some turns later.
  for (let n = 0; n < 500 && String((await traces()).resources) !== String(before.resources); n++) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  assert.equal(await traces(), before)
}

test('nor has one whose hub did not start', async () => {
  const before = await traces()
  const workers = [
    { id: 'a', exec: chat },
    { id: 'b', exec: new URL('./workers/start.js', import.meta.url), env: { START: 'exit' }, stderr: 'tail' as const },
  ]
  assert.is((await failure(startHub({ workers }))).code, 'ERR_HUB_MEMBER_EXITED')
  await assertSame(before)
})

test('nor a worker that has left the hub and lives on', async () => {
  const hub = await startHub({ signals: false, workers: [{ id: 'guest', exec: guest, restart: 'never' }] })
  try {
    const [told] = await leaving(hub)
    assertNothingLeft(told)
    // It takes messages of others as before, and says how it ends.
    const left = once(hub.lifecycle, 'leave')
    Object.values(cluster.workers ?? {})[0]?.send('end')
    const [, exit] = await left
    assert.equal(exit, { code: 23, signal: null })
  } finally {
    await hub.close()
  }
})

test('a worker that has left and has nothing to do ends by itself', async () => {
  const workers = [{ id: 'guest', exec: guest, restart: 'never' as const, env: { IDLE: '1' } }]
  const hub = await startHub({ signals: false, workers })
  try {
    const left = once(hub.lifecycle, 'leave')
    const [told] = await leaving(hub)
    assertNothingLeft(told)
    const [, exit] = await left
    assert.equal(exit, { code: 0, signal: null })
  } finally {
    await hub.close()
  }
})

/** What is less than before does no harm: the channel no longer keeps the process alive. */
function assertNothingLeft({ before, after }: { before: Traces; after: Traces }): void {
  assert.equal([after.process, after.cluster], [before.process, before.cluster])
  const more = [...after.resources]
  for (const kind of before.resources) if (more.includes(kind)) more.splice(more.indexOf(kind), 1)
  assert.equal(more, [])
}

async function leaving(hub: PrimaryHub): Promise<[{ before: Traces; after: Traces }]> {
  const told = new Promise<{ before: Traces; after: Traces }>((resolve) => {
    const worker = Object.values(cluster.workers ?? {})[0]
    worker?.on('message', (message) => {
      if (typeof message === 'object' && 'guest' in message) resolve(message.guest)
    })
  })
  await hub.to('guest').request('leave')
  return [await told]
}

test.run()
