/** Takes the pictures in docs/images, of the chat as it runs: `npm run screenshots`. */
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BrowserContextOptions } from 'playwright-core'
import { launchBrowser } from './browser.js'
import { ChatSite, MAIN, type Tab, until } from './chat.js'
import { Example } from './example.js'

// From build/test/examples/ to the top.
const folder = fileURLToPath(new URL('../../../docs/images/', import.meta.url))

const DESKTOP: BrowserContextOptions = { locale: 'en-GB', viewport: { width: 1120, height: 720 } }
const PHONE: BrowserContextOptions = {
  locale: 'en-GB',
  viewport: { width: 390, height: 780 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
}

async function picture(tab: Tab, name: string): Promise<void> {
  const file = path.join(folder, `chat-${name}.png`)
  await tab.page.screenshot({ path: file, animations: 'disabled', caret: 'hide' })
  console.log(file)
}

mkdirSync(folder, { recursive: true })
const browser = await launchBrowser()
const site = new ChatSite(await Example.start(MAIN), browser)
try {
  const login = await site.open(PHONE)
  await picture(login, 'login')

  const ann = await site.join('Ann', { ...DESKTOP, colorScheme: 'light' })
  const annsPhone = await site.join('Ann', { ...PHONE, colorScheme: 'dark' })
  const ben = await site.join('Ben', { ...DESKTOP, colorScheme: 'dark' })
  const carla = await site.join('Carla')
  await ben.say('Good morning! Is everybody here?')
  await carla.say('Here, and on another worker than you two.')
  await ann.say('Present. I am logged in on my phone as well, and it shows all of this.')
  await site.post('/publish', { from: 'deploy', text: 'Version 1.4 is out: 12 changes, 0 surprises.' })
  await ben.say('Let us see who notices when a worker crashes.')
  await ben.say('Carla, do you write?')
  await ann.sayTo('Carla', 'Only between us: lunch at one?')
  await carla.sayTo('Ann', 'Gladly. The usual place.')
  await ann.sees('Gladly. The usual place.')
  await ann.crashButton.click()
  await ann.log.getByText('serves this tab now').waitFor()
  await carla.say('Somebody crashed. Did anybody miss anything?')
  await ann.sees('Somebody crashed. Did anybody miss anything?')
  await ann.say('Not a word.')
  for (const tab of [ann, annsPhone, ben]) await tab.sees('Not a word.')
  await ben.sees('Not a word.')
  await carla.composer.press('x')
  await ann.page.getByText('Carla is typing').waitFor()
  await picture(ann, 'desktop')
  await picture(ben, 'desktop-dark')
  await picture(annsPhone, 'phone')
  await annsPhone.page.getByRole('button', { name: /online/ }).click()
  await picture(annsPhone, 'phone-people')

  // A deploy, in the middle of a conversation.
  await until(async () => (await ann.page.locator('#workers [data-state=ready]').count()) === 4, 'all four again')
  await carla.say('Release 2 is ready. Shall I?')
  await ben.say('At noon, with everybody here?')
  await ann.say('Go on. Who notices owes me a coffee.')
  await ben.sees('Go on. Who notices owes me a coffee.')
  await carla.deployButton.click()
  const mine = ann.page.locator('#workers [aria-current][data-state=changing]', { hasText: 'next starts' })
  await mine.waitFor()
  await ben.say('Is it under way?')
  await ann.sees('Is it under way?')
  await mine.waitFor()
  await picture(ann, 'deploy')
  await picture(annsPhone, 'deploy-phone')
  await ann.log.getByText('Release 2 is live').waitFor()
  await ben.say('When does it begin?')
  await carla.say('It is over.')
  await ann.sees('It is over.')
  await picture(ann, 'deployed')
} finally {
  await site.end()
  await browser.close()
}
