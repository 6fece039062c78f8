/** The chat as people use it: a running example, and tabs of a browser. */
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { io, type Socket } from 'socket.io-client'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Message, Welcome } from '../../examples/chat/contract.js'
import { browserPath, launchBrowser, reportMissingBrowser } from './browser.js'
import { assertEndsCleanly, Example, endAll } from './example.js'

export const MAIN = fileURLToPath(new URL('../../examples/chat/main.js', import.meta.url))

/** What a browser writes when a server goes away, as those here do. */
const EXPECTED = /WebSocket connection to|net::ERR_|Failed to load resource/

/** What a tab shows of the process that serves it; on a phone less of it can be seen. */
const SERVED = /^Served by (web-\d) · pid (\d+) · release (\d+)$/

/** Waits for a condition, however long that takes on a busy machine. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + 30_000
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`never happened: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** One tab, logged in or not. */
export class Tab {
  readonly page: Page
  readonly problems: string[] = []

  constructor(page: Page) {
    this.page = page
    page.setDefaultTimeout(30_000)
    page.on('pageerror', (error) => this.problems.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'error' && !EXPECTED.test(message.text())) this.problems.push(message.text())
    })
  }

  get composer() {
    return this.page.getByRole('textbox', { name: 'Message' })
  }

  get log() {
    return this.page.getByRole('log', { name: 'Messages' })
  }

  get crashButton() {
    return this.page.getByRole('button', { name: /^Crash/ })
  }

  get deployButton() {
    return this.page.getByRole('button', { name: /^Deploy/ })
  }

  async logIn(name: string): Promise<void> {
    await this.page.getByLabel('Your name').fill(name)
    await this.page.getByRole('button', { name: 'Join the chat' }).click()
    await this.worker()
  }

  /** Waits until it is connected; the worker that serves it. */
  async worker(): Promise<string> {
    return (await this.served()).worker
  }

  /** Waits until it is connected; what it shows of the process that serves it. */
  async served(): Promise<{ worker: string; pid: number; release: number }> {
    const status = this.page.getByRole('status').filter({ hasText: SERVED })
    await status.waitFor()
    const [, worker = '', pid, release] = SERVED.exec((await status.textContent()) ?? '') ?? []
    return { worker, pid: Number(pid), release: Number(release) }
  }

  async say(text: string): Promise<void> {
    await this.composer.fill(text)
    await this.composer.press('Enter')
  }

  /** To one person only, chosen in the field before the message. */
  async sayTo(name: string, text: string): Promise<void> {
    await this.page.getByLabel('To', { exact: true }).selectOption(name)
    await this.say(text)
    await this.page.getByLabel('To', { exact: true }).selectOption('Everybody')
  }

  /** The messages that the server has taken, as they stand on the screen. */
  texts(): Promise<string[]> {
    return this.log.locator('[data-message] .text').allTextContents()
  }

  async sees(text: string): Promise<void> {
    await this.log.locator('[data-message] .text').getByText(text, { exact: true }).waitFor()
  }

  /** Who is online, as this tab shows it at one moment. */
  online(): Promise<string[]> {
    return this.page.evaluate<string[]>(
      `Array.from(document.querySelectorAll('#people li'), ({ dataset }) => dataset.name)`,
    )
  }

  /** Waits until these are online, and nobody else. */
  async showsOnline(...names: string[]): Promise<void> {
    const wanted = names.sort().join()
    let seen = ''
    await until(async () => {
      seen = (await this.online()).sort().join()
      return seen === wanted
    }, `${wanted} online`).catch((error: Error) => {
      throw new Error(`${error.message}, but ${seen}`)
    })
  }
}

/** What a tab's connection is for a program. */
export type Client = Socket & { welcome: Welcome; messages: Message[] }

export class ChatSite {
  example: Example
  /** Where its files are. */
  readonly folder: string
  readonly #browser: Browser
  readonly #contexts: BrowserContext[] = []
  readonly #tabs: Tab[] = []
  readonly #clients: Socket[] = []

  constructor(example: Example, browser: Browser, folder = path.dirname(MAIN)) {
    this.example = example
    this.folder = folder
    this.#browser = browser
  }

  get url(): string {
    return this.example.url
  }

  /** A window with cookies and connections of its own, as on another device. */
  async open(options: BrowserContextOptions = {}, context?: BrowserContext): Promise<Tab> {
    const home = context ?? (await this.#browser.newContext(options))
    if (!context) this.#contexts.push(home)
    const tab = new Tab(await home.newPage())
    this.#tabs.push(tab)
    await tab.page.goto(this.url)
    return tab
  }

  async join(name: string, options: BrowserContextOptions = {}): Promise<Tab> {
    const tab = await this.open(options)
    await tab.logIn(name)
    return tab
  }

  post(path: string, body: unknown, headers: Record<string, string> = { 'content-type': 'application/json' }) {
    // A connection of its own each time: one that is kept alive would end with its worker.
    return fetch(this.url + path, {
      method: 'POST',
      headers: { ...headers, connection: 'close' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
  }

  async token(name: string): Promise<string> {
    const { token } = (await (await this.post('/login', { name })).json()) as { token: string }
    return token
  }

  /** A connection without a browser, which does not come back when it is lost. */
  async client(name: string, after = 0): Promise<Client> {
    const auth = { token: await this.token(name), after }
    const socket = io(this.url, { auth, transports: ['websocket'], reconnection: false, forceNew: true })
    this.#clients.push(socket)
    const client = Object.assign(socket, { messages: [] as Message[] }) as unknown as Client
    socket.on('message', (message: Message) => client.messages.push(message))
    client.welcome = await new Promise<Welcome>((resolve, reject) => {
      socket.once('welcome', resolve)
      socket.once('connect_error', reject)
    })
    return client
  }

  pidOf(id: string): number {
    return Number(this.example.all(new RegExp(`${id} is pid (\\d+)`, 'g')).at(-1))
  }

  /** Ends it under the feet of its tabs, and starts it anew at the same place. */
  async restart(): Promise<void> {
    await assertEndsCleanly(this.example)
    this.example = await Example.start(MAIN, { PORT: new URL(this.url).port })
  }

  get problems(): string[] {
    return this.#tabs.flatMap(({ problems }) => problems)
  }

  async closeTabs(): Promise<void> {
    for (const client of this.#clients) client.disconnect()
    await Promise.all(this.#contexts.map((context) => context.close()))
  }

  async end(): Promise<void> {
    await this.closeTabs()
    assert.equal(this.problems, [], 'errors in the browser')
    await assertEndsCleanly(this.example)
  }
}

/** Waits until each shows the same so many messages, and returns them. */
export async function agree(tabs: Tab[], count: number): Promise<string[]> {
  let views: string[][] = []
  await until(async () => {
    views = await Promise.all(tabs.map((tab) => tab.texts()))
    return views.every(({ length }) => length >= count)
  }, `${count} messages in every tab`).catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(views)}`)
  })
  const [first = []] = views
  for (const view of views) assert.equal(view, first)
  assert.is(first.length, count, JSON.stringify(first))
  assert.is(new Set(first).size, count)
  return first
}

/** Notes in this tab every list of people that is shown without the name. */
export async function watchFor(tab: Tab, name: string): Promise<() => Promise<number>> {
  await tab.page.evaluate(`{
    globalThis.absences = 0
    const list = document.getElementById('people')
    new MutationObserver(() => {
      if (![...list.children].some(({ dataset }) => dataset.name === ${JSON.stringify(name)})) globalThis.absences++
    }).observe(list, { childList: true })
  }`)
  return () => tab.page.evaluate<number>('globalThis.absences')
}

/** Runs the example for one test, and ends it cleanly. `copied`: from files that the test may change. */
async function withChat(browser: Browser, body: (site: ChatSite) => Promise<void>, copied: boolean): Promise<void> {
  if (!copied) return withChatIn(path.dirname(MAIN), browser, body)
  // Beside it: what it reads elsewhere it finds by its own place.
  const folder = fs.mkdtempSync(path.join(path.dirname(MAIN), '..', 'chat-'))
  try {
    fs.cpSync(path.dirname(MAIN), folder, { recursive: true })
    await withChatIn(folder, browser, body)
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
}

async function withChatIn(folder: string, browser: Browser, body: (site: ChatSite) => Promise<void>): Promise<void> {
  const example = await Example.start(path.join(folder, path.basename(MAIN)))
  const site = new ChatSite(example, browser, folder)
  try {
    await body(site)
  } catch (error) {
    await site.closeTabs()
    console.error(site.example.output, site.problems)
    throw error
  }
  await site.end()
}

/** A suite, whose tests run the chat in a browser. They are skipped where there is none. */
export function chatSuite(name: string) {
  reportMissingBrowser()
  const test = suite(name)
  let browser: Browser
  test.before(async () => {
    if (browserPath) browser = await launchBrowser()
  })
  test.after(() => browser?.close())
  test.after.each(endAll)

  const chat = (title: string, body: (site: ChatSite) => Promise<void>, { copied = false } = {}) => {
    const run = browserPath ? test : test.skip
    run(title, () => withChat(browser, body, copied))
  }
  return { test, chat }
}
