import assert from 'node:assert/strict'
import type { PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import { Gate, rejection, until, withHub, worker } from './support.js'

interface Orders {
  events: string[]
  tasks: string[]
}

/** Lets the processes of a seat become ready one by one, each with what it is to listen to and to serve. */
class Doorman {
  arrived = 0
  readonly #orders: Orders[] = []
  readonly #gates: Gate[] = []

  constructor(hub: PrimaryHub) {
    hub.handle('gate', async () => {
      const n = this.arrived++
      await this.#gate(n).opened
      return this.#orders[n]
    })
  }

  /** The next process may go on, now or when it comes. */
  open(n: number, orders: Orders): void {
    this.#orders[n] = orders
    this.#gate(n).open()
  }

  #gate(n: number): Gate {
    this.#gates[n] ??= new Gate()
    return this.#gates[n]
  }
}

const link = (hub: PrimaryHub, id: string) => hub.stats().links?.find((link) => link.id === id)
const state = (hub: PrimaryHub, id: string) => hub.members.find((member) => member.id === id)?.state

test(
  'what is sent to a member while it starts waits until it is ready, in order',
  withHub({ workers: [{ id: 'ann', exec: worker('listening') }] }, async (hub) => {
    const doorman = new Doorman(hub)
    const forked = hub.fork({ id: 'late', exec: worker('starting'), restart: 'never' })
    // As soon as anybody knows of it, long before its process runs.
    await until(() => state(hub, 'late') !== undefined, 'the seat is known')
    const late = hub.to('late')
    late.emit('news', 1)
    const first = late.request('work', 2)
    late.emit('news', 3)
    hub.emit('news', 4)
    hub.broadcast('news', 5)
    late.emit('unheard', 6)
    // By now it has joined and asked: that its question was answered shows that answers reach it before it is ready.
    await until(() => doorman.arrived === 1, 'it has joined')
    late.emit('news', 7, new Uint8Array([7]))
    const second = late.request('work', { at: new Date(8) })
    const unserved = rejection(late.request('unserved', 9))
    const delegated = hub.delegate('work', 10)
    late.emit('news', 11)
    await hub.drained()
    assert.equal(link(hub, 'late')?.held, 10)
    assert.equal(state(hub, 'late'), 'starting')
    doorman.open(0, { events: ['news'], tasks: ['work'] })
    const members = await forked
    assert.deepEqual(
      members.map(({ id, state }) => [id, state]),
      [['late', 'ready']],
    )
    assert.equal(await first, 'work done')
    assert.equal(await second, 'work done')
    assert.equal(await delegated, 'work done')
    assert.equal((await unserved).code, 'ERR_HUB_NO_HANDLER')
    const got = (await late.request('got')) as unknown[][]
    // A delegated task has its own order.
    assert.deepEqual(
      got.filter(([, input]) => input !== 10),
      [
        ['news', 1],
        ['work', 2],
        ['news', 3],
        ['news', 4],
        ['news', 5],
        ['news', 7, new Uint8Array([7])],
        ['work', { at: new Date(8) }],
        ['news', 11],
      ],
    )
    assert.equal(got.length, 9)
    // The one that nobody was there for is counted.
    assert.equal(link(hub, 'late')?.droppedEvents, 1)
    assert.equal(link(hub, 'late')?.held, 0)
  }),
)

test(
  'a member that is ready by itself misses nothing of what it registers at once',
  withHub({ workers: [] }, async (hub) => {
    const forked = hub.fork({ id: 'auto', exec: worker('auto') })
    await until(() => state(hub, 'auto') !== undefined, 'the seat is known')
    const expected: number[] = []
    for (let n = 0; n < 1000; n++) {
      hub.to('auto').emit(n % 2 ? 'first' : 'second', n)
      expected.push(n)
    }
    await forked
    assert.deepEqual(await hub.to('auto').request('got'), expected)
  }),
)

test(
  'a primary that is ready by hand is sent nothing before, then all',
  withHub({ ready: 'manual', workers: [] }, async (hub) => {
    const got: number[] = []
    hub.emit('news', 1)
    const answer = hub.to('primary').request('work', 2)
    await until(() => link(hub, 'primary')?.held === 2, 'both are held')
    hub.on('news', (n: number) => got.push(n))
    hub.handle('work', (n: number) => got.push(n))
    hub.emit('news', 3)
    await hub.drained()
    assert.deepEqual(got, [])
    hub.ready()
    assert.equal(await answer, 2)
    await until(() => got.length === 3, 'all have arrived')
    assert.deepEqual(got, [1, 2, 3])
  }),
)

for (const [how, leave] of [
  ['crashed', (hub: PrimaryHub) => void hub.to('seat').emit('exit')],
  ['is restarted', (hub: PrimaryHub) => void hub.restart('seat').catch(() => {})],
] as const) {
  test(
    `while a seat that ${how} comes back, what its last process listened to and served is held, and met by the next`,
    withHub({ workers: [] }, async (hub) => {
      const doorman = new Doorman(hub)
      doorman.open(0, { events: ['kept', 'lost'], tasks: ['keptTask', 'lostTask'] })
      await hub.fork({ id: 'seat', exec: worker('starting'), backoff: { min: 1, max: 5 } })
      leave(hub)
      await until(() => state(hub, 'seat') !== 'ready', 'it is gone')
      const seat = hub.to('seat')
      seat.emit('kept', 1)
      hub.emit('lost', 2)
      // Nobody listened to these, so nothing waits for them.
      seat.emit('new', 3)
      seat.emit('never', 4)
      const unserved = await rejection(seat.request('newTask', 5))
      assert.equal(unserved.code, 'ERR_HUB_NO_HANDLER')
      assert.equal((await rejection(hub.delegate('newTask', 5))).code, 'ERR_HUB_NO_HANDLER')
      await until(() => doorman.arrived === 2, 'the next process has joined')
      const kept = seat.request('keptTask', 6)
      const lost = rejection(seat.request('lostTask', 7))
      const delegated = hub.delegate('keptTask', 8)
      const nobody = rejection(hub.delegate('lostTask', 9))
      seat.emit('lost', 10)
      seat.emit('kept', 11)
      await hub.drained()
      assert.equal(link(hub, 'seat')?.held, 6)
      assert.equal(link(hub, 'seat')?.droppedEvents, 0)
      doorman.open(1, { events: ['kept', 'new'], tasks: ['keptTask', 'newTask'] })
      assert.equal(await kept, 'keptTask done')
      assert.equal(await delegated, 'keptTask done')
      assert.equal((await lost).code, 'ERR_HUB_NO_HANDLER')
      assert.equal((await nobody).code, 'ERR_HUB_NO_HANDLER')
      const got = (await seat.request('got')) as unknown[][]
      assert.deepEqual(
        got.filter(([, input]) => input !== 8),
        [
          ['kept', 1],
          ['keptTask', 6],
          ['kept', 11],
        ],
      )
      const { droppedEvents, held, incarnation } = link(hub, 'seat') ?? {}
      assert.deepEqual({ droppedEvents, held, incarnation }, { droppedEvents: 2, held: 0, incarnation: 2 })
      // And what is new now counts.
      seat.emit('new', 12)
      assert.equal(await seat.request('newTask', 13), 'newTask done')
    }),
  )
}

test(
  'what is held is bounded: the oldest events go first, and are counted',
  withHub({ workers: [], maxHeldBytes: 100_000 }, async (hub) => {
    const doorman = new Doorman(hub)
    const forked = hub.fork({ id: 'late', exec: worker('starting') })
    await until(() => state(hub, 'late') !== undefined, 'the seat is known')
    const answers: Promise<unknown>[] = []
    for (let n = 0; n < 300; n++) {
      hub.to('late').emit('news', n, 'x'.repeat(1000))
      if (n % 10 === 0) answers.push(hub.to('late').request('work', n))
    }
    await hub.drained()
    await until(() => doorman.arrived === 1, 'it has joined')
    const dropped = link(hub, 'late')?.droppedEvents ?? 0
    assert.ok(dropped > 150 && dropped < 300, `${dropped}`)
    assert.ok((link(hub, 'late')?.queuedBytes ?? 0) < 110_000)
    doorman.open(0, { events: ['news'], tasks: ['work'] })
    await forked
    assert.deepEqual([...new Set(await Promise.all(answers))], ['work done'])
    const got = (await hub.to('late').request('got')) as [string, number][]
    const events = got.filter(([name]) => name === 'news').map(([, n]) => n)
    assert.deepEqual(
      events,
      Array.from({ length: 300 - dropped }, (_, i) => i + dropped),
    )
    const tasks = got.filter(([name]) => name === 'work').map(([, n]) => n)
    assert.deepEqual(
      tasks,
      Array.from({ length: 30 }, (_, i) => i * 10),
    )
  }),
)

interface Reached {
  bytes: number
  events: string[]
  heard: string[]
  uncaught: string[]
}

const LISTENING = { workers: [{ id: 'ann', exec: worker('listening') }] }
const perform = (hub: PrimaryHub, step: string, event = 'news') => hub.to('ann').request('do', { step, event })
const reached = (hub: PrimaryHub) => hub.to('ann').request('reached') as Promise<Reached>

test(
  'a member without a listener for an event gets no bytes of it',
  withHub(LISTENING, async (hub) => {
    await perform(hub, 'on')
    await reached(hub)
    for (let n = 0; n < 1000; n++) {
      hub.emit('unheard', n, 'x'.repeat(1000))
      hub.broadcast('unheard', new Uint8Array(1000))
      hub.to('ann').emit('unheard', n)
    }
    hub.emit('news', 1)
    const { bytes, events } = await reached(hub)
    assert.deepEqual(events, ['news'])
    assert.ok(bytes < 1000, `${bytes} bytes`)
  }),
)

/** Whether the event reaches the worker after the steps, and who hears it. */
const INTEREST: [steps: string[], heard: string[]][] = [
  [[], []],
  [['on'], ['listener 1']],
  [['addListener'], ['listener 1']],
  [['prependListener'], ['listener 1']],
  [
    ['on', 'on'],
    ['listener 1', 'listener 1'],
  ],
  [
    ['on', 'on other'],
    ['listener 1', 'other 1'],
  ],
  [
    ['on', 'prepend other'],
    ['other 1', 'listener 1'],
  ],
  [['on', 'off'], []],
  [['on', 'removeListener'], []],
  [['on', 'on', 'off'], ['listener 1']],
  [['on', 'on other', 'off'], ['other 1']],
  [['on', 'on other', 'off', 'off other'], []],
  [['on', 'on other', 'removeAllListeners'], []],
  [['on', 'remove all of all'], []],
  [['once', 'off'], []],
  [['prependOnceListener', 'removeListener'], []],
  [['off', 'on'], ['listener 1']],
  [['on', 'off', 'on'], ['listener 1']],
  [['onAny'], ['any news 1 from primary']],
  [['onAny', 'offAny'], []],
  [['onAny', 'onAny', 'offAny'], ['any news 1 from primary']],
  [
    ['onAny', 'on'],
    ['any news 1 from primary', 'listener 1'],
  ],
  [['onAny', 'on', 'off'], ['any news 1 from primary']],
  [['onAny', 'on', 'offAny'], ['listener 1']],
]

test(
  'listeners bring and end interest, however they come and go',
  withHub(LISTENING, async (hub) => {
    for (const [steps, heard] of INTEREST) {
      for (const step of steps) await perform(hub, step)
      await reached(hub)
      hub.to('ann').emit('news', 1)
      const now = await reached(hub)
      const what = steps.join(', ')
      assert.deepEqual(now.heard, heard, what)
      assert.deepEqual(now.events, heard.length > 0 ? ['news'] : [], what)
      for (const step of ['remove all of all', 'offAny', 'offAny']) await perform(hub, step)
    }
  }),
)

test(
  'a listener for one time hears one, and then nothing reaches its process',
  withHub(LISTENING, async (hub) => {
    for (const step of ['once', 'prependOnceListener', 'events.once']) {
      await perform(hub, step)
      await reached(hub)
      // Two in one batch: the hub cannot know yet.
      hub.to('ann').emit('news', 1)
      hub.to('ann').emit('news', 2)
      assert.deepEqual((await reached(hub)).heard, [step === 'events.once' ? 'once 1' : 'listener 1'])
      hub.to('ann').emit('news', 3)
      const now = await reached(hub)
      assert.deepEqual([now.heard, now.events], [[], []], step)
    }
  }),
)

test(
  'events.on iterates over them, and ends the interest when it is left',
  withHub(LISTENING, async (hub) => {
    await perform(hub, 'events.on')
    for (const word of ['one', 'two', 'last']) {
      hub.emit('news', word)
      await hub.to('ann').request('do', { step: 'nothing' })
    }
    assert.deepEqual((await reached(hub)).heard, ['iterated one', 'iterated two', 'iterated last', 'ended'])
    hub.emit('news', 'more')
    assert.deepEqual((await reached(hub)).events, [])
  }),
)

test(
  'a listener that throws does not stop the others; its error surfaces as one that nobody caught',
  withHub(LISTENING, async (hub) => {
    for (const step of ['any throwing', 'on throwing', 'on', 'once throwing', 'on other', 'onAny']) {
      await perform(hub, step)
    }
    await reached(hub)
    hub.emit('news', 1)
    hub.emit('news', 2)
    const { heard, uncaught } = await reached(hub)
    assert.deepEqual(heard, [
      'throwing news',
      'any news 1 from primary',
      'throwing 1',
      'listener 1',
      'throwing 1',
      'other 1',
      'throwing news',
      'any news 2 from primary',
      'throwing 2',
      'listener 2',
      'other 2',
    ])
    assert.deepEqual(uncaught, ['thrown for news', 'thrown for 1', 'thrown for 1', 'thrown for news', 'thrown for 2'])
  }),
)

test.run()
