import { once } from 'node:events'
import type { PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { memberOf } from '#lib/internal.js'
import { linkOf, pidOf, until, withHub } from './conditions.js'
import type { Hostile } from './workers/hostile.js'
import type { Victim } from './workers/victim.js'

const WORKERS = ['mallory', 'crew-1', 'crew-2']
const SPECS = [
  { id: 'mallory', exec: new URL('./workers/hostile.js', import.meta.url) },
  { role: 'crew', count: 2, exec: new URL('./workers/victim.js', import.meta.url) },
]

interface Attacked {
  hub: PrimaryHub<{
    events: { news: (value: unknown) => void } & Hostile['events']
    tasks: Hostile['tasks'] & Victim['tasks']
  }>
  /** Has mallory do it, and waits until it is counted and told. Returns what was told to the primary, and to it. */
  attack(what: string, address?: number): Promise<{ warning: string; told: string }>
}

/** Resolves when the hub has got all that mallory was ordered to send. */
async function order(hub: Attacked['hub'], what: string, address: number): Promise<void> {
  const attacked = once(hub, 'attacked')
  hub.to('mallory').emit('attack', { what, address })
  await attacked
}

/** A hub with one member that is hostile. Whatever that does, nobody else is blamed, and nobody ends. */
async function withMallory(run: (attacked: Attacked) => Promise<void>): Promise<void> {
  const warnings: string[] = []
  const note = ({ message }: Error) => warnings.push(message)
  process.on('warning', note)
  try {
    await withHub({ workers: SPECS }, async (plain) => {
      const hub = plain as unknown as Attacked['hub']
      const pids = WORKERS.map((id) => pidOf(plain, id))
      const attack = async (what: string, address = 0) => {
        const before = linkOf(plain, 'mallory').protocolErrors
        await order(hub, what, address)
        await until(() => linkOf(plain, 'mallory').protocolErrors > before, `${what} is counted`)
        await until(() => warnings.some((text) => text.startsWith('"mallory" sent')), 'the primary is told')
        const toldTo = () => hub.to('mallory').request('warnings')
        await until(async () => (await toldTo()).length > 0, 'mallory is told')
        const told = await toldTo()
        assert.is(told.length, 1, 'once')
        return { warning: warnings.find((text) => text.startsWith('"mallory"')) ?? '', told: told[0] ?? '' }
      }
      await run({ hub, attack })
      for (const id of ['primary', 'crew-1', 'crew-2']) assert.is(linkOf(plain, id).protocolErrors, 0, id)
      assert.equal(
        WORKERS.map((id) => pidOf(plain, id)),
        pids,
        'nobody ended',
      )
    })
  } finally {
    process.removeListener('warning', note)
  }
}

for (const [what, why] of [
  ['garbage', /malformed at position/],
  ['length', /carried 4294967294 attachments/],
  ['control', /control message is malformed/],
] as const) {
  test(`a worker that sends ${what} is told so, once, and counted; the hub goes on`, () =>
    withMallory(async ({ hub, attack }) => {
      const { warning, told } = await attack(what)
      assert.match(warning, why)
      assert.match(told, why)
      await attack('garbage')
      hub.to('crew-1').emit('news', 1)
      await until(async () => (await hub.to('crew-1').request('heard')).length === 1, 'events still arrive')
    }))
}

test('nobody speaks in the name of another member', () =>
  withMallory(async ({ hub, attack }) => {
    const { own } = await hub.to('crew-1').request('where')
    const { told } = await attack('sender', own)
    assert.match(told, /malformed/)
    hub.to('crew-2').emit('news', 'honest')
    await until(async () => (await hub.to('crew-2').request('heard')).length > 0, 'the honest event')
    assert.equal(await hub.to('crew-2').request('heard'), [{ from: 'primary', args: ['honest'] }])
  }))

test("nobody answers or cancels another member's calls, the primary's included", () =>
  withMallory(async ({ hub, attack }) => {
    const { own } = await hub.to('crew-1').request('where')
    const asked = hub.to('crew-1').timeout(Number.POSITIVE_INFINITY).request('ask', 'crew-2')
    const askedByPrimary = hub.to('crew-1').timeout(Number.POSITIVE_INFINITY).request('slow')
    const { told } = await attack('answer', own)
    assert.match(told, /^"mallory" sent what the hub does not take: It answered .*The answer was dropped/)
    await attack('answer', memberOf(hub, 'test').address)
    await order(hub, 'cancel', own)
    await hub.to('crew-2').request('answer')
    await hub.to('crew-1').request('answer')
    assert.is(await asked, 'answered')
    assert.is(await askedByPrimary, 'answered')
  }))

test('an event that nobody can read ends nobody, the hub included', () =>
  withMallory(async ({ hub, attack }) => {
    const heard: unknown[] = []
    hub.onAny((event, args, { from }) => heard.push([event, args, from.id]))
    await hub.drained()
    await order(hub, 'event', 1)
    await until(() => hub.stats().refusedPayloads > 0, 'the primary drops it')
    assert.equal(heard, [['attacked', [], 'mallory']], 'what followed arrives')
    assert.equal(await hub.to('crew-1').request('heard'), [])
    await attack('garbage')
  }))

test.run()
