import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { agree, chatSuite, type Tab, until } from './chat.js'

const PHONE = { viewport: { width: 320, height: 640 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 }
const AXE = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')

const { test, chat } = chatSuite('examples/chat: the page')

chat('everything can be done with the keyboard', async (site) => {
  const ben = await site.join('ben')
  const ann = await site.open()
  const { keyboard } = ann.page
  const focused = () =>
    ann.page.evaluate<string>(`{
      const { id, textContent, labels } = document.activeElement
      id || labels?.[0]?.textContent || textContent
    }`)
  const tabTo = async (id: string, key = 'Tab') => {
    const passed: string[] = []
    while ((await focused()) !== id) {
      if (passed.length > 15) throw new Error(`${id} is not reached: ${passed.join(', ')}`)
      await keyboard.press(key)
      passed.push(await focused())
    }
    const ring = await ann.page.evaluate<boolean>(`{
      const { activeElement } = document
      const field = activeElement.closest('textarea')?.form ?? activeElement
      getComputedStyle(field).outlineStyle === 'solid'
    }`)
    assert.ok(ring, `${id} shows that it has the focus`)
  }
  await until(async () => (await focused()) === 'name', 'the focus in the field for the name')
  await keyboard.type('ann')
  await keyboard.press('Enter')
  await ann.worker()
  assert.is(await focused(), 'text')
  await keyboard.type('first')
  await keyboard.press('Shift+Enter')
  await keyboard.type('second')
  await keyboard.press('Enter')
  await agree([ann, ben], 1)
  assert.is((await ben.texts())[0], 'first\nsecond')

  await tabTo('to', 'Shift+Tab')
  await keyboard.type('ben')
  await tabTo('text')
  await keyboard.type('to you')
  await keyboard.press('Enter')
  await ben.sees('to you')
  await keyboard.press('Escape')
  assert.is(await ann.page.getByLabel('To', { exact: true }).inputValue(), '')

  await until(async () => {
    await keyboard.press('Tab')
    return (await focused()).endsWith('ben')
  }, 'the focus on ben')
  await keyboard.press('Enter')
  assert.is(await focused(), 'text')
  assert.is(await ann.page.getByLabel('To', { exact: true }).inputValue(), 'ben')

  await tabTo('log', 'Shift+Tab')
  await tabTo('deploy')
  await keyboard.press('Enter')
  await ann.page.getByRole('status').filter({ hasText: 'Deploying release 2' }).waitFor()
  // Who waits for it there is not sent elsewhere.
  assert.is(await focused(), 'deploy')
  await ann.log.getByText(/Release 2 is live.* kept its connection/).waitFor({ timeout: 90_000 })
  assert.is(await focused(), 'deploy')
  await tabTo('crash')
  await keyboard.press('Enter')
  await ann.log.getByText('serves this tab now').waitFor()
})

/** What axe has to complain about. */
async function complaints(tab: Tab): Promise<string[]> {
  await tab.page.evaluate(AXE)
  return tab.page.evaluate<
    string[]
  >(`axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
    .then(({ violations }) => violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => [id, html, failureSummary].join(' '))))`)
}

for (const colorScheme of ['light', 'dark'] as const) {
  for (const device of [{}, PHONE]) {
    chat(`is accessible: ${colorScheme}, ${device === PHONE ? 'phone' : 'desktop'}`, async (site) => {
      const options = { ...device, colorScheme, reducedMotion: 'reduce' as const }
      const ann = await site.open(options)
      assert.equal(await complaints(ann), [])
      await ann.logIn('ann')
      const ben = await site.join('ben')
      await ann.showsOnline('ann', 'ben')
      await ann.say('hello')
      await ann.sayTo('ben', 'a secret')
      await ben.say('good morning')
      await ben.sayTo('ann', 'another')
      await site.post('/publish', { text: 'Released' })
      await agree([ann], 5)
      assert.equal(await complaints(ann), [])
      if (device === PHONE) await ann.page.getByRole('button', { name: /online/ }).click()
      await ann.deployButton.click()
      await ann.page.getByRole('progressbar', { name: 'Processes exchanged' }).waitFor()
      await ann.page.locator('#workers [data-state=changing]').first().waitFor()
      assert.equal(await complaints(ann), [])
      await ann.page.locator('#log').getByText('Release 2 is live').waitFor({ state: 'attached', timeout: 90_000 })
      await ann.crashButton.click()
      // On a phone it is below the list of workers, and hidden.
      await ann.page.locator('#log').getByText('serves this tab now').waitFor({ state: 'attached' })
      assert.equal(await complaints(ann), [])
      const moving = await ann.page.evaluate<number>('document.getAnimations().length')
      assert.is(moving, 0, 'nothing moves for those who do not want it')
    })
  }
}

chat('fits on a phone', async (site) => {
  const ann = await site.open(PHONE)
  const sideways = () => ann.page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
  assert.is(await sideways(), 0)
  await ann.logIn('Annamaria-Wilhelmine-XXI')
  const ben = await site.join('W'.repeat(24))
  await ben.say('a'.repeat(300))
  await ann.say('see https://shop.example/'.padEnd(200, 'x'))
  await ann.sayTo('W'.repeat(24), 'short')
  await agree([ann], 3)
  assert.is(await sideways(), 0)
  const inSight = async (what: ReturnType<Tab['page']['locator']>) => {
    const box = await what.boundingBox()
    assert.ok(
      box &&
        box.x >= 0 &&
        box.x + box.width <= PHONE.viewport.width &&
        box.y >= 0 &&
        box.y + box.height <= PHONE.viewport.height,
      String(what),
    )
  }
  await inSight(ann.composer)
  await inSight(ann.page.getByRole('button', { name: 'Send' }))
  await inSight(ann.log.getByText('short'))

  assert.not(await ann.crashButton.isVisible())
  await ann.page.getByRole('button', { name: '2 online' }).click()
  await inSight(ann.deployButton)
  await inSight(ann.crashButton)
  await ann.deployButton.click()
  await inSight(ann.page.getByRole('progressbar', { name: 'Processes exchanged' }))
  assert.is(await sideways(), 0)
  await ann.page.getByRole('button', { name: `Write to ${'W'.repeat(24)} only` }).click()
  await inSight(ann.composer)
  assert.not(await ann.crashButton.isVisible())
  assert.is(await sideways(), 0)
})

test.run()
