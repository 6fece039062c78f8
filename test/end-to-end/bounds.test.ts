import type { HubError, HubOptions, PrimaryHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { failure, until, withHub } from './conditions.js'

// What bounds the memory of a member that sends more than the hub takes. A hub alone does: what is sent in one turn waits.

const chat = new URL('./workers/chat.js', import.meta.url)
const MAX = 200_000
const text = 'x'.repeat(1000)

function bounded(run: (hub: PrimaryHub, slow: string[]) => Promise<void>, options: HubOptions = {}) {
  return () =>
    withHub({ highWaterMark: 1000, maxQueueBytes: MAX, ...options }, async (hub) => {
      const slow: string[] = []
      hub.lifecycle.on('slow', ({ id }, { queue }) => slow.push(`${id} ${queue}`))
      await run(hub, slow)
    })
}

/** Until nothing more is taken. */
function fill(hub: PrimaryHub): HubError {
  try {
    for (let n = 0; n < 10_000; n++) hub.emit('nobody listens', text)
  } catch (error) {
    return error as HubError
  }
  throw new Error('it was never full')
}

test(
  'what is too much is refused, counted, and told to this member, once until it has drained',
  bounded(async (hub, slow) => {
    for (let round = 1; round <= 2; round++) {
      const error = fill(hub)
      assert.is(error.code, 'ERR_HUB_OVERLOADED')
      assert.match(error.message, /^emit\("nobody listens"\).*maxQueueBytes/)
      fill(hub)
      const { queuedBytes, refused } = hub.stats()
      assert.ok(queuedBytes > MAX && queuedBytes < MAX + 2000, `${queuedBytes} bytes`)
      assert.is(refused, 2 * round)
      await hub.drained()
      await until(() => slow.length === round, 'it is told')
    }
    assert.equal(slow, ['primary outbox', 'primary outbox'])
    assert.is(hub.emit('nobody listens'), true)
  }),
)

test(
  'so many calls may wait for their answers, and so many waits for queues; all others are refused at once',
  bounded(
    async (hub) => {
      const answers: ((value: unknown) => void)[] = []
      hub.handle('later', () => new Promise((resolve) => answers.push(resolve)))
      const calls = Array.from({ length: 5 }, () => hub.delegate('later'))
      for (const more of [hub.delegate('later'), hub.to('primary').request('later')]) {
        const error = await failure(more)
        assert.is(error.code, 'ERR_HUB_OVERLOADED')
        assert.match(error.message, /"later".*5 others.*maxPendingCalls/)
      }
      const [gathered] = await hub.to(['primary']).gather('later')
      assert.is((gathered as { reason?: HubError }).reason?.code, 'ERR_HUB_OVERLOADED')
      assert.equal([hub.stats().pendingCalls, hub.stats().refused], [5, 3])
      await until(() => answers.length === 5, 'they run')
      for (const answer of answers) answer(1)
      assert.equal(await Promise.all(calls), [1, 1, 1, 1, 1])
      const waits = Array.from({ length: 5 }, () => hub.drained())
      assert.is((await failure(hub.drained())).code, 'ERR_HUB_OVERLOADED')
      await Promise.all(waits)
      await hub.drained()
    },
    { maxPendingCalls: 5 },
  ),
)

test(
  'an answer for which there is no room becomes a refusal that says so: each call is answered',
  bounded(async (hub) => {
    let run = 0
    hub.handle('large', () => {
      run++
      return 'x'.repeat(10_000)
    })
    const outcomes = await Promise.allSettled(Array.from({ length: 100 }, () => hub.delegate('large')))
    assert.is(run, 100)
    const refusals = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as HubError] : []))
    assert.ok(refusals.length > 10 && refusals.length < 90, `${refusals.length} refused`)
    for (const { code, message } of refusals) {
      assert.is(code, 'ERR_HUB_OVERLOADED')
      assert.match(message, /has run, and its answer was dropped/)
    }
    const link = hub.stats().links?.[0]
    assert.is(hub.stats().refused + (link?.refused ?? 0), refusals.length)
    assert.is((await hub.delegate('large')) as string, 'x'.repeat(10_000))
  }),
)

test(
  "Socket.IO's packets past the bound are dropped and counted, and its questions fail; later ones work",
  bounded(
    async (hub, slow) => {
      const io = attachSocketIo(new Server(), hub)
      assert.is(await io.of('/').adapter.serverCount(), 2)
      for (let n = 0; n < 1000; n++) io.serverSideEmit('news', text)
      const { queuedBytes, refused } = hub.stats()
      assert.ok(queuedBytes < MAX + 2000, `${queuedBytes} bytes`)
      assert.ok(refused > 500 && refused < 1000, `${refused} dropped`)
      const asked = failure(io.fetchSockets())
      const emitted = failure(io.timeout(50).emitWithAck('news'))
      const error = await asked
      assert.is(error.code, 'ERR_HUB_OVERLOADED')
      assert.match(error.message, /namespace "\/"/)
      assert.match((await emitted).message, /timed out/)
      await hub.drained('primary')
      await until(() => slow.includes('primary outbox'), 'it is told')
      assert.equal(await io.fetchSockets(), [])
      assert.equal(await io.timeout(20_000).emitWithAck('news'), [])
    },
    { workers: [{ id: 'other', exec: chat }], slowAfter: 60_000, maxQueueBytes: MAX },
  ),
)

test.run()
