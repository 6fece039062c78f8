import assert from 'node:assert/strict'
import { test } from 'uvu'
import { HubEmitter } from '#lib/emitter.js'
import { Inbox, type InboxOptions } from '#lib/inbox.js'
import { MARKER } from '#lib/wire/batch.js'
import { Address, SINGLE, senderFrame } from '#lib/wire/frame.js'
import { eventFrame, manyFrame } from './wire/frames.js'

class Emitter extends HubEmitter {
  protected override listenTo(): void {}
  protected override listenToAll(): void {}
}

/** An inbox to which nothing but events comes. */
function inboxTo(emitter: HubEmitter): Inbox {
  // The rest of what an inbox serves is never reached.
  const rest = {} as Pick<InboxOptions, 'handlers' | 'pending' | 'packets'>
  const validator = { hasEvent: () => false } as unknown as InboxOptions['validator']
  return new Inbox({ ...rest, validator, emitter, control: () => {} })
}

function batch(bodies: string[], flags: number = SINGLE): { text: string; attachments: [] } {
  const frames = bodies.map((body) => eventFrame(flags, Address.Everybody, 'count', body))
  return { text: MARKER + senderFrame(20, 1, 'sender', undefined) + frames.join(''), attachments: [] }
}

async function warningsDuring(act: () => void): Promise<string[]> {
  const warnings: string[] = []
  const onWarning = ({ message }: Error) => warnings.push(message)
  process.on('warning', onWarning)
  act()
  await new Promise(setImmediate)
  process.off('warning', onWarning)
  return warnings
}

test('of many events that came together each is delivered, in order, by its own arguments', () => {
  const emitter = new Emitter()
  const got: unknown[][] = []
  emitter.on('count', (...args: unknown[]) => got.push(args))
  const inbox = inboxTo(emitter)
  const numbers = Array.from({ length: 1000 }, (_, n) => n)
  inbox.receive(batch(numbers.map(String)), undefined)
  assert.deepEqual(
    got,
    numbers.map((n) => [n]),
  )
  got.length = 0
  inbox.receive(
    batch(
      numbers.map((n) => `[${n},"x"]`),
      0,
    ),
    undefined,
  )
  assert.deepEqual(
    got,
    numbers.map((n) => [n, 'x']),
  )
  assert.equal(inbox.eventsReceived, 2000)
  assert.equal(inbox.refusedPayloads, 0)
})

test('a broken one among them is refused, and no other', async () => {
  const emitter = new Emitter()
  const got: unknown[] = []
  emitter.on('count', (n) => got.push(n))
  const inbox = inboxTo(emitter)
  const bodies = Array.from({ length: 200 }, (_, n) => String(n))
  for (const n of [0, 7, 8, 150]) bodies[n] = '{"a":'
  const warnings = await warningsDuring(() => inbox.receive(batch(bodies), undefined))
  assert.deepEqual(
    got,
    bodies.flatMap((body, n) => (body === String(n) ? [n] : [])),
  )
  assert.equal(inbox.eventsReceived, 200)
  assert.equal(inbox.refusedPayloads, 4)
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /^Event "count" from "sender" was dropped/)
})

test('events that share a frame are delivered one by one; if it does not hold as many as it says, none is', async () => {
  const emitter = new Emitter()
  const got: unknown[][] = []
  emitter.on('count', (...args: unknown[]) => got.push(args))
  const inbox = inboxTo(emitter)
  const frames = [
    manyFrame(SINGLE, Address.Everybody, 'count', 2, '[1,[2]]'),
    manyFrame(0, Address.Everybody, 'count', 2, '[[3,4],[]]'),
    manyFrame(SINGLE, Address.Everybody, 'count', 3, '[5,6]'),
    manyFrame(SINGLE, Address.Everybody, 'count', 2, '[5,'),
    manyFrame(SINGLE, Address.Everybody, 'count', 1, '{"length":1}'),
    manyFrame(0, Address.Everybody, 'count', 3, '[[7],8,[9]]'),
  ]
  const text = MARKER + senderFrame(20, 1, 'sender', undefined) + frames.join('')
  const warnings = await warningsDuring(() => inbox.receive({ text, attachments: [] }, undefined))
  assert.deepEqual(got, [[1], [[2]], [3, 4], [], [7], [9]])
  assert.equal(inbox.eventsReceived, 13)
  assert.equal(inbox.refusedPayloads, 3 + 2 + 1 + 1)
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /^Event "count" from "sender" was dropped: .*holds 2 events instead of 3/)
})

test('arguments that are no list are refused, and no other', async () => {
  const emitter = new Emitter()
  const got: unknown[] = []
  emitter.on('count', (n) => got.push(n))
  const inbox = inboxTo(emitter)
  const warnings = await warningsDuring(() => inbox.receive(batch(['[1]', '2', '[3]'], 0), undefined))
  assert.deepEqual(got, [1, 3])
  assert.equal(inbox.refusedPayloads, 1)
  assert.match(warnings[0] ?? '', /arguments are not a list/)
})

test('a listener that goes while they are delivered hears none of the rest', () => {
  const emitter = new Emitter()
  const got: unknown[] = []
  const listener = (n: unknown) => {
    got.push(n)
    if (n === 2) emitter.off('count', listener)
  }
  emitter.on('count', listener)
  inboxTo(emitter).receive(batch(['1', '2', '3', '4']), undefined)
  assert.deepEqual(got, [1, 2])
})

test.run()
