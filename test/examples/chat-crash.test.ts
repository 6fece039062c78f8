import * as assert from 'uvu/assert'
import { agree, chatSuite, watchFor } from './chat.js'

const { test, chat } = chatSuite('examples/chat: tabs and processes that go')

chat('whoever comes new sees the last 50 messages, after the crash of a worker too', async (site) => {
  for (let n = 1; n <= 60; n++) assert.is((await site.post('/publish', { text: `message ${n}` })).status, 201)
  const last50 = Array.from({ length: 50 }, (_, n) => `message ${n + 11}`)
  const ann = await site.join('ann')
  assert.equal(await agree([ann], 50), last50)
  assert.is(await ann.log.getByText('by HTTP').count(), 50)

  for (const id of ['web-1', 'web-2', 'web-3', 'web-4']) {
    process.kill(site.pidOf(id), 'SIGKILL')
    await site.example.matching(new RegExp(`${id} is pid`), 2)
  }
  const ben = await site.join('ben')
  assert.equal(await agree([ben], 50), last50)
  await ann.worker()
  assert.equal(await ann.texts(), last50, 'ann, who was there, has nothing doubled')
})

chat('who is online does not flicker when a tab reloads, and is put right when one is closed', async (site) => {
  const watcher = await site.join('watcher')
  const ann = await site.join('ann')
  const ben = await site.join('ben')
  await watcher.showsOnline('ann', 'ben', 'watcher')
  const absences = await watchFor(watcher, 'ann')

  await ann.page.reload()
  await ann.worker()
  await ann.showsOnline('ann', 'ben', 'watcher')
  // When the grace period of who went later is over, so is that of ann's old tab.
  await ben.page.close()
  await watcher.showsOnline('ann', 'watcher')
  assert.is(await absences(), 0)

  await ann.page.getByRole('button', { name: 'Log out' }).click()
  await watcher.showsOnline('watcher')
})

chat('when a worker crashes, those who do not come back are soon offline, and the others stay', async (site) => {
  const watcher = await site.join('watcher')
  const dan = await site.client('dan')
  // Somebody else who is served by the same worker, and comes back.
  let ann = await site.join('ann')
  while ((await ann.worker()) !== dan.welcome.worker) ann = await site.join('ann')
  await watcher.showsOnline('ann', 'dan', 'watcher')
  const absences = await watchFor(watcher, 'ann')

  process.kill(site.pidOf(dan.welcome.worker), 'SIGKILL')
  await watcher.showsOnline('ann', 'watcher')
  assert.is(await absences(), 0)
})

chat('when the worker of a tab crashes, it goes on at another, and nothing is lost or doubled', async (site) => {
  const ann = await site.join('ann')
  const ben = await site.join('ben')
  let expected = 0
  for (let round = 1; round <= 3; round++) {
    const before = await ann.worker()
    const pid = site.pidOf(before)
    const talking = (async () => {
      for (let n = 1; n <= 15; n++, expected++) await ben.say(`ben ${round}.${n}`)
    })()
    await ann.say(`ann ${round} before`)
    await ann.crashButton.click()
    // These are written while there is no connection, or when it is there again: either is as good.
    for (let n = 1; n <= 5; n++, expected++) await ann.say(`ann ${round}.${n}`)
    expected++
    await ann.log
      .getByText(/^web-\d serves this tab now/)
      .nth(round - 1)
      .waitFor()
    await talking
    const texts = await agree([ann, ben], expected)
    for (const [who, count] of [
      ['ann', 5],
      ['ben', 15],
    ] as const) {
      const own = texts.filter((text) => text.startsWith(`${who} ${round}.`))
      assert.equal(
        own,
        Array.from({ length: count }, (_, n) => `${who} ${round}.${n + 1}`),
        'in the order of its sender',
      )
    }
    assert.is(await ann.log.locator('.pending, .failed').count(), 0)
    await site.example.matching(new RegExp(`${before}, pid ${pid}, ended: SIGKILL`))
    assert.is(site.example.all(/(ended: SIGKILL)/g).length, round, 'only the worker that it was on')
    // The worker comes back, and the page says so.
    await ann.page.locator(`#workers [data-worker=${before}][data-state=ready]`).waitFor()
  }
  const late = await site.join('carl')
  assert.equal((await agree([late], 50)).at(-1), (await ann.texts()).at(-1))
})

chat('when the keeper itself crashes, the chat goes on without its history', async (site) => {
  const ann = await site.join('ann')
  const ben = await site.join('ben')
  await ann.say('before')
  await agree([ann, ben], 1)
  const absences = await watchFor(ann, 'ben')
  process.kill(site.pidOf('keeper'), 'SIGKILL')
  await site.example.matching(/keeper is pid/, 2)
  await ben.say('after')
  assert.equal(await agree([ann, ben], 2), ['before', 'after'])
  assert.is(await absences(), 0)
  const carl = await site.join('carl')
  await carl.showsOnline('ann', 'ben', 'carl')
  assert.equal(await agree([carl], 1), ['after'])
  await ann.page.reload()
  assert.equal(await agree([ann], 1), ['after'])
})

chat('when all of it is started anew, its tabs have to log in again', async (site) => {
  const ann = await site.join('ann')
  await ann.say('before')
  await ann.sees('before')
  await site.restart()
  await ann.page.getByRole('alert').filter({ hasText: 'log in again' }).waitFor()
  assert.is(await ann.page.getByLabel('Your name').inputValue(), 'ann')
  await ann.page.getByRole('button', { name: 'Join the chat' }).click()
  await ann.say('after')
  assert.equal(await agree([ann], 1), ['after'])
})

test.run()
