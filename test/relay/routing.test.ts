import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'uvu'
import type { Peer } from '#lib/relay/peer.js'
import type { Place } from '#lib/relay/place.js'
import type { MemberState } from '#lib/types.js'
import { Address, eventBody, eventName, hasFlag, MANY } from '#lib/wire/frame.js'
import { manyFrame } from '../wire/frames.js'
import { FakeHub, Outgoing } from './fakes.js'

const NAMES = ['a', 'b', '新聞', '__proto__']
const ROLES = [undefined, 'web', 'web', 'db']
const SEATS = ROLES.length

/** What should happen, said as plainly as possible. */
class Model {
  state: MemberState = 'starting'
  joined = false
  listens = new Set<string>()
  any = false
  /** What the last process that was ready listened to. */
  known: { listens: Set<string>; any: boolean } | undefined
  held: string[] = []
  got: string[] = []
  dropped = 0
}

const seat = fc.nat(SEATS - 1)
const name = fc.constantFrom(...NAMES)
const command = fc.oneof(
  {
    weight: 16,
    arbitrary: fc.record({
      do: fc.constant('emit' as const),
      ...{ seat, name, target: fc.nat(7), times: fc.nat(3) },
      /** In one frame. */
      together: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('listen' as const), seat, name, on: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('any' as const), seat, on: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('ready' as const), seat }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('exit' as const), seat }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('shut' as const), seat }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('stop' as const), seat }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('start' as const), seat }) },
  { weight: 2, arbitrary: fc.constant({ do: 'flush' as const }) },
)

/** Most begin somewhere in the middle: ready, and listening to something. */
const beginning = fc
  .tuple(...ROLES.map(() => fc.option(fc.subarray(NAMES, { minLength: 1 }), { freq: 3, nil: undefined })))
  .map((all) =>
    all.flatMap((names, seat) => [
      ...(names ?? []).map((name) => ({ do: 'listen' as const, seat, name, on: true })),
      ...(names ? [{ do: 'ready' as const, seat }] : []),
    ]),
  )
const commands = fc.tuple(beginning, fc.array(command, { minLength: 20, maxLength: 120 })).map((both) => both.flat())

test('events reach exactly those who listen, in order, whoever comes, goes, starts and stops', async () => {
  let delivered = 0
  let held = 0
  await fc.assert(
    fc.asyncProperty(commands, async (commands) => {
      const hub = new FakeHub()
      const places: Place[] = []
      const peers: (Peer | undefined)[] = []
      const everybody: { peer: Peer; seat: number }[] = []
      const models = ROLES.map(() => new Model())
      /** Frames of one sender that go to the hub as one batch. */
      let batch = new Outgoing()
      let sender = -1
      const flush = () => {
        const peer = peers[sender]
        if (peer) hub.send(peer, batch)
        batch = new Outgoing()
        sender = -1
      }
      const from = (seat: number) => {
        if (sender !== seat) flush()
        sender = seat
        return batch
      }
      const enter = (seat: number) => {
        const peer = hub.enter(places[seat] as Place)
        peers[seat] = peer
        everybody.push({ peer, seat })
      }
      ROLES.forEach((role, seat) => {
        places.push(hub.place(`seat ${seat}`, role))
        enter(seat)
      })
      let n = 0
      for (const step of commands) {
        if (step.do === 'flush') {
          flush()
          continue
        }
        const { seat } = step
        const model = models[seat] as Model
        const place = places[seat] as Place
        const peer = peers[seat]
        if (step.do === 'emit' && peer) {
          const { target, name, times, together } = step
          const address =
            target === 0
              ? Address.Everybody
              : target === 1
                ? Address.Others
                : target === 2
                  ? (hub.exchange.directory.role('web')?.address as number)
                  : target === 3
                    ? (hub.exchange.directory.role('db')?.address as number)
                    : (places[target - 4] as Place).address
          const bodies = Array.from({ length: times + 1 }, () => String(n++))
          if (together) from(seat).add(manyFrame(0, address, name, bodies.length, `[${bodies}]`))
          for (const body of bodies) {
            const attachment = !together && Number(body) % 5 === 4 ? Buffer.from(body) : undefined
            if (!together) from(seat).event(address, name, body, attachment)
            models.forEach((other, index) => {
              const meant =
                target === 0 ||
                (target === 1 && index !== seat) ||
                (target === 2 && ROLES[index] === 'web') ||
                (target === 3 && ROLES[index] === 'db') ||
                target - 4 === index
              if (!meant) return
              const what = `seat ${seat} ${name} ${body}${attachment ? ` ${attachment.toString('hex')}` : ''}`
              if (other.state === 'ready') {
                if (other.any || other.listens.has(name)) other.got.push(what)
              } else if (other.state === 'starting' || other.state === 'restarting' || other.state === 'stopping') {
                if (!other.known || other.known.any || other.known.listens.has(name)) other.held.push(what)
              }
            })
          }
        } else if (step.do === 'listen' && peer) {
          from(seat).control({ t: 'listen', name: step.name, on: step.on })
          if (step.on) model.listens.add(step.name)
          else model.listens.delete(step.name)
        } else if (step.do === 'any' && peer) {
          from(seat).control({ t: 'any', on: step.on })
          model.any = step.on
        } else if (step.do === 'ready' && peer && model.state === 'starting') {
          from(seat).control({ t: 'ready' })
          flush()
          hub.exchange.update(place, 'ready', 1)
          model.state = 'ready'
          model.known = model
          for (const what of model.held.splice(0)) {
            held++
            if (model.any || model.listens.has(what.split(' ')[2] as string)) model.got.push(what)
            else model.dropped++
          }
        } else if (step.do === 'shut' && peer && model.state === 'ready') {
          flush()
          hub.exchange.update(place, 'stopping', 1)
          model.state = 'stopping'
        } else if ((step.do === 'exit' || step.do === 'stop') && peer) {
          flush()
          hub.exchange.leave(peer, { code: 1, signal: null })
          peers[seat] = undefined
          // What it listened to when it was last ready is what its seat is known for.
          if (model.known === model) model.known = { listens: model.listens, any: model.any }
          model.listens = new Set()
          model.any = false
          model.state = step.do === 'exit' ? 'restarting' : 'stopped'
          hub.exchange.update(place, model.state, undefined)
          if (step.do === 'stop') model.dropped += model.held.splice(0).length
        } else if (step.do === 'start' && !peer) {
          flush()
          enter(seat)
          hub.exchange.update(place, 'starting', 1)
          model.state = 'starting'
        }
      }
      flush()
      const got: string[][] = ROLES.map(() => [])
      for (const { peer, seat } of everybody) {
        for (const { from, text, attachment } of await hub.messages(peer)) {
          const name = eventName(text, 0)
          const tail = attachment === undefined ? '' : ` ${attachment}`
          const body = text.slice(eventBody(text, 0))
          const bodies: unknown[] = hasFlag(text, 0, MANY) ? JSON.parse(body) : [body]
          for (const one of bodies) got[seat]?.push(`${from} ${name} ${one}${tail}`)
        }
      }
      assert.deepEqual(
        got,
        models.map((model) => model.got),
      )
      assert.deepEqual(
        hub.exchange.stats().map(({ held, droppedEvents }) => [held, droppedEvents]),
        models.map((model) => [model.held.length, model.dropped]),
      )
      for (const list of got) delivered += list.length
    }),
    { numRuns: 400 },
  )
  assert.ok(delivered > 2000 && held > 300, `${delivered} were delivered, ${held} had been held`)
})

test('a route is looked up anew when somebody begins or ceases to listen within one batch', async () => {
  const hub = new FakeHub()
  const one = hub.member('one')
  const batch = new Outgoing()
    .event(Address.Everybody, 'a', '1')
    .control({ t: 'listen', name: 'a', on: true })
    .event(Address.Everybody, 'a', '2')
    .event(Address.Everybody, 'a', '3')
    .control({ t: 'listen', name: 'a', on: false })
    .event(Address.Everybody, 'a', '4')
  hub.send(one, batch)
  assert.deepEqual(
    (await hub.messages(one)).map(({ text }) => text.slice(10)),
    ['2', '3'],
  )
})

test('more event names than are cached go where they should', async () => {
  const hub = new FakeHub()
  const one = hub.member('one')
  const other = hub.member('other', ['name 7', 'name 2000'])
  for (let round = 0; round < 2; round++) {
    const batch = new Outgoing()
    for (let i = 0; i < 3000; i++) batch.event(Address.Others, `name ${i}`, '')
    hub.send(one, batch)
  }
  assert.deepEqual(
    (await hub.messages(other)).map(({ text }) => eventName(text, 0)),
    ['name 7', 'name 2000', 'name 7', 'name 2000'],
  )
})

test.run()
