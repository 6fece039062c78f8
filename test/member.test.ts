import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'uvu'
import { Member } from '#lib/member.js'
import type { ToMember } from '#lib/relay/control.js'
import { Validator } from '#lib/schema.js'
import { type Batch, MARKER, NO_ATTACHMENTS } from '#lib/wire/batch.js'
import { callHeader, controlFrame, eventHead, eventHeader, Kind, senderFrame } from '#lib/wire/frame.js'

const SELF = 20

/** A member whose hub is this test. */
async function joined(): Promise<{ member: Member; sent: Batch[]; receive: (frames: string) => void }> {
  const sent: Batch[] = []
  const member = new Member({
    transport: {
      send(batch, done) {
        sent.push(batch)
        process.nextTick(done, null)
      },
    },
    validator: new Validator(undefined),
    onStop() {},
  })
  const receive = (frames: string) => member.receive({ text: MARKER + frames, attachments: NO_ATTACHMENTS })
  const joining = member.join()
  const welcome: ToMember = {
    t: 'welcome',
    id: 'a',
    role: undefined,
    incarnation: 1,
    address: 21,
    members: [{ id: 'a', role: undefined, pid: 1, incarnation: 1, state: 'ready', address: SELF }],
    roles: [],
    settings: { timeout: 30_000, highWaterMark: 1 << 20, maxQueueBytes: 1 << 26, gracePeriod: 1000 },
  }
  receive(controlFrame(JSON.stringify(welcome)))
  await joining
  return { member, sent, receive }
}

const event = (name: string, body: string) => eventHeader(0, eventHead(SELF, name), body.length) + body

test('an event that cannot be read is dropped, counted and told once; those around it arrive', async () => {
  const { member, receive } = await joined()
  const seen: unknown[] = []
  member.on('news', (value) => seen.push(value))
  const warned = once(process, 'warning')
  const bad = event('news', '{"not json')
  receive(senderFrame(30, 1, 'b', undefined) + event('news', '[1]') + bad + bad + event('news', '[2]'))
  assert.deepEqual(seen, [1, 2])
  assert.equal(member.stats().refusedPayloads, 2)
  const [warning] = await warned
  assert.match(warning.message, /dropped event "news" from "b"/)
})

test('an answer or an error that cannot be read rejects its call alone', async () => {
  const { member, receive } = await joined()
  const calls = [1, 2, 3].map((input) => member.to('a').request('task', input))
  const answer = (kind: number, call: number, body: string) => callHeader(kind, 21, call, body.length) + body
  receive(
    senderFrame(30, 1, 'b', undefined) +
      answer(Kind.Response, 0, '{') +
      answer(Kind.Failure, 1, '{') +
      answer(Kind.Response, 2, '"fine"'),
  )
  const settled = await Promise.allSettled(calls)
  assert.deepEqual(
    settled.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code)),
    ['ERR_HUB_PROTOCOL', 'ERR_HUB_PROTOCOL', 'fine'],
  )
})

test('a listener whose event name is refused does not stay behind', async () => {
  const { member } = await joined()
  const name = 'x'.repeat(256)
  for (const method of ['on', 'once', 'prependListener', 'prependOnceListener'] as const) {
    assert.throws(() => member[method](name, () => {}), /longer than 255 characters/)
  }
  assert.equal(member.listenerCount(name), 0)
})

test.run()
