import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Pace } from '#lib/pace.js'
import { HandleLane } from '#lib/wire/handle-lane.js'

/** A lane whose handles are taken when the test says so, and a pace whose sessions arrive when it does. */
function setting(within: number) {
  const sent: (() => void)[] = []
  const transport = {
    send: () => {},
    sendHandle: (_: unknown, __: unknown, done: (error: null) => void) => void sent.push(() => done(null)),
  }
  const lane = new HandleLane(transport, { taken: () => {}, failed: () => {} })
  const pace = new Pace(lane, within)
  const underWay: (() => void)[] = []
  /** Takes as many as it may in one turn, of so many. */
  const take = async (left: number, handles = true) => {
    await pace.next(left)
    let taken = 0
    while (pace.allows) {
      underWay.push(pace.taken())
      if (handles) lane.add({ body: '', handle: { close: () => {} } })
      taken++
    }
    return taken
  }
  const arrive = (count: number) => {
    for (const arrived of underWay.splice(0, count)) arrived()
  }
  const takeHandles = () => {
    for (let done = sent.shift(); done; done = sent.shift()) done()
  }
  return { lane, take, arrive, takeHandles }
}

test('one session goes ahead, a few follow, and no more are under way at a time, however many there are', async () => {
  const { take, arrive, takeHandles } = setting(Number.POSITIVE_INFINITY)
  assert.is(await take(1000), 1)
  takeHandles()
  assert.is(await take(1000), 0)
  let underWay = 1
  let most = 1
  for (let i = 0; i < 100; i++) {
    arrive(1)
    underWay += (await take(1000)) - 1
    takeHandles()
    most = Math.max(most, underWay)
  }
  assert.ok(most > 2 && most <= 6, `${most}`)
})

test('none is taken whose handle would wait for others', async () => {
  const { lane, take, arrive, takeHandles } = setting(Number.POSITIVE_INFINITY)
  arrive(await take(1000))
  takeHandles()
  const some = await take(1000)
  assert.ok(some > 1, `${some}`)
  assert.is(lane.waiting, some - 1)
  arrive(some)
  assert.is(await take(1000), 0)
  takeHandles()
  assert.ok((await take(1000)) > 0)
})

test('where they would not all have gone in time, more are under way, up to all of them', async () => {
  for (const [within, all] of [
    [60_000, false],
    [0, true],
  ] as const) {
    const { take, arrive } = setting(within)
    // Without handles nothing else holds them back.
    for (let i = 0; i < 10; i++) arrive(await take(1000, false))
    let underWay = 0
    for (let i = 0; i < 100; i++) underWay += await take(1000, false)
    if (all) assert.ok(underWay >= 100, `${underWay} of those that are late`)
    else assert.ok(underWay <= 6, `${underWay} of those that have time`)
  }
})

test.run()
