import { once } from 'node:events'
import type { PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { memberOf } from '#lib/internal.js'
import { Address } from '#lib/wire/frame.js'
import { linkOf, pidOf, until, withHub } from './conditions.js'
import type { Hostile } from './workers/hostile.js'
import type { Victim } from './workers/victim.js'

const WORKERS = ['mallory', 'crew-1', 'crew-2']
/** So many numbers of calls are tried out: there are fewer. */
const CALLS = 50
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
  /** How much of it has been counted. */
  counted(): number
}

/** Resolves when the hub has got all that mallory was ordered to send. */
async function order(hub: Attacked['hub'], what: string, address: number): Promise<void> {
  const attacked = once(hub, 'attacked')
  hub.to('mallory').emit('attack', { what, address, calls: CALLS })
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
      const counted = () => linkOf(plain, 'mallory').protocolErrors
      const attack = async (what: string, address = 0) => {
        const before = counted()
        await order(hub, what, address)
        await until(() => counted() > before, `${what} is counted`)
        await until(() => warnings.some((text) => text.startsWith('"mallory" sent')), 'the primary is told')
        const toldTo = () => hub.to('mallory').request('warnings')
        await until(async () => (await toldTo()).length > 0, 'mallory is told')
        const told = await toldTo()
        assert.is(told.length, 1, 'once')
        return { warning: warnings.find((text) => text.startsWith('"mallory"')) ?? '', told: told[0] ?? '' }
      }
      await run({ hub, attack, counted })
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

for (const kind of ['response', 'failure', 'refusal', 'cancel']) {
  const verb = kind === 'cancel' ? 'cancelled' : 'answered'
  test(`nobody sends a ${kind} to another member's calls, the primary's included: each is counted`, () =>
    withMallory(async ({ hub, attack, counted }) => {
      const { own } = await hub.to('crew-1').request('where')
      const asked = hub.to('crew-1').timeout(Number.POSITIVE_INFINITY).request('ask', 'crew-2')
      const askedByPrimary = hub.to('crew-1').timeout(Number.POSITIVE_INFINITY).request('slow')
      // What goes wrong meanwhile is to be told as it is.
      for (const call of [asked, askedByPrimary]) call.catch(() => {})
      await until(async () => (await hub.to('crew-2').request('asked')) > 0, 'crew-1 has asked crew-2')
      const { told, warning } = await attack(kind, own)
      assert.match(told, new RegExp(`^"mallory" sent what the hub does not take: It ${verb} .* was dropped`))
      assert.match(warning, new RegExp(`It ${verb} `))
      assert.is(counted(), CALLS)
      await attack(kind, memberOf(hub, 'test').address)
      assert.is(counted(), 2 * CALLS)
      await hub.to('crew-2').request('answer')
      await hub.to('crew-1').request('answer')
      assert.is(await asked, 'answered')
      assert.is(await askedByPrimary, 'answered')
    }))
}

for (const kind of ['answer', 'last-answer']) {
  test(`nobody answers a question of Socket.IO that it was not asked (${kind}): each is counted`, () =>
    withMallory(async ({ hub, attack, counted }) => {
      const { own } = await hub.to('crew-1').request('where')
      const inquiry = hub.to('crew-1').timeout(Number.POSITIVE_INFINITY).request('inquire')
      inquiry.catch(() => {})
      await until(async () => (await hub.to('crew-2').request('asked')) > 0, 'crew-1 has asked crew-2')
      const { told } = await attack(kind, own)
      assert.match(told, /It answered a question of "crew-1" that it was not asked\. The answer was dropped/)
      assert.is(counted(), CALLS)
      await hub.to('crew-2').request('answer')
      assert.equal(await inquiry, ['answered'])
    }))
}

for (const [what, why] of [
  ['event-to-nobody', /It sent event "news" to an address where no seat/],
  ['packet-to-nobody', /A packet of Socket\.IO does not say whom it is for/],
  ['rooms', /It told of rooms in a namespace that it does not have/],
  ['request', /It gave the number of Delegation of "slow", which still runs, to another call/],
  ['question', /It gave the number of a question that is under way to another one/],
] as const) {
  test(`what a worker says of itself is looked at, too (${what}): it is told, and counted`, () =>
    withMallory(async ({ hub, attack, counted }) => {
      const { told, warning } = await attack(what, what === 'request' ? Address.Anybody : 0xffff)
      assert.match(told, why)
      assert.match(warning, why)
      assert.is(counted(), 1)
      assert.equal(await hub.to('crew-2').request('heard'), [])
    }))
}

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
