import fs from 'node:fs'
import path from 'node:path'
import type { Page } from 'playwright-core'
import * as assert from 'uvu/assert'
import { agree, type ChatSite, type Client, chatSuite, type Tab, until, watchFor } from './chat.js'

const { test, chat } = chatSuite('examples/chat: deploys')

const WORKERS = ['keeper', 'web-1', 'web-2', 'web-3', 'web-4']

/** What a page's connection went through: its sessions of Socket.IO by their ids, and ends. */
function watchConnection(page: Page): { ids: string[]; ends: number; connections: number } {
  const seen = { ids: [] as string[], ends: 0, connections: 0 }
  page.on('websocket', (webSocket) => {
    seen.connections++
    webSocket.on('close', () => seen.ends++)
    webSocket.on('framereceived', ({ payload }) => {
      const [, id] = /^40\{"sid":"([^"]+)/.exec(String(payload)) ?? []
      if (id) seen.ids.push(id)
    })
  })
  // Each request of a session that polls.
  page.on('request', (request) => {
    if (request.url().includes('transport=polling')) seen.connections++
  })
  return seen
}

/** Says one thing after another until it is told to stop; what the server took. */
function talk(client: Client, name: string): () => Promise<string[]> {
  const said: string[] = []
  let going = true
  const talking = (async () => {
    for (let n = 1; going; n++) {
      const text = `${name} ${n}`
      const answer = await client.timeout(20_000).emitWithAck('say', { text, key: text.replaceAll(' ', '-') })
      assert.type(answer.id, 'number', JSON.stringify(answer))
      said.push(text)
      // Slower by and by: on a busy machine a deploy takes long, and a page shows the last 1000 only.
      await new Promise((resolve) => setTimeout(resolve, 20 + 3 * n))
    }
  })()
  // Whoever stops it hears of it.
  talking.catch(() => {})
  return async () => {
    going = false
    await talking
    return said
  }
}

/** Waits until all processes run that release, as everybody can see. */
async function deployed(site: ChatSite, tabs: Tab[], release: number): Promise<void> {
  // Step by step: on a busy machine a process takes long to start.
  for (const id of WORKERS) await site.example.matching(new RegExp(`${id} is pid`), release)
  await site.example.matching(new RegExp(`release ${release} is deployed`))
  for (const tab of tabs) await tab.log.getByText(`Release ${release} is live`).waitFor({ state: 'attached' })
}

chat('at a deploy the release and the process of each tab change, and its connection does not', async (site) => {
  const connections: ReturnType<typeof watchConnection>[] = []
  const tabs: Tab[] = []
  for (const name of ['ann', 'ben', 'carl']) {
    const tab = await site.open()
    // Its connection is made when it logs in.
    connections.push(watchConnection(tab.page))
    await tab.logIn(name)
    tabs.push(tab)
  }
  const [ann, ben] = tabs as [Tab, Tab]
  const names = ['ann', 'ben', 'carl', 'eve', 'fred']
  const clients = [await site.client('eve'), await site.client('fred')]
  const ids = clients.map(({ id }) => id)
  const disconnects: string[] = []
  for (const client of clients) client.on('disconnect', (reason) => disconnects.push(reason))
  for (const tab of tabs) await tab.showsOnline(...names)
  const absences = await Promise.all(names.map((name) => watchFor(ann, name)))

  const said: string[] = []
  for (let round = 1; round <= 2; round++) {
    const before = await Promise.all(tabs.map((tab) => tab.served()))
    const pids = WORKERS.map((id) => site.pidOf(id))
    // In the second one hardly anything is said: what is known afterwards was handed on.
    const talking = round === 1 ? clients : []
    const stops = talking.map((client, n) => talk(client, `client ${n} in ${round}`))
    // Whoever presses it meanwhile joins.
    await Promise.all([ann.deployButton.click(), ben.deployButton.click()])
    await ann.page
      .getByRole('status')
      .filter({ hasText: `Deploying release ${round + 1}` })
      .waitFor()
    await ann.deployButton.click()
    for (let n = 1; n <= 5; n++) {
      await ann.say(`ann ${round}.${n}`)
      said.push(`ann ${round}.${n}`)
    }
    await deployed(site, tabs, round + 1)
    for (const stop of stops) said.push(...(await stop()))

    const after = await Promise.all(tabs.map((tab) => tab.served()))
    for (const [n, { worker, pid, release }] of after.entries()) {
      assert.is(release, round + 1)
      assert.is(worker, before[n]?.worker)
      assert.is(pid, site.pidOf(worker))
      assert.is.not(pid, before[n]?.pid)
      const kept = `This tab went from pid ${before[n]?.pid} to pid ${pid}, and kept its connection.`
      await tabs[n]?.log.getByText(kept).waitFor()
    }
    // One deploy, for three presses.
    for (const [n, id] of WORKERS.entries()) {
      assert.is.not(site.pidOf(id), pids[n], `${id} is another process`)
      assert.is(site.example.all(new RegExp(`${id} is pid (\\d+)`, 'g')).length, round + 1)
    }
    assert.equal(site.example.all(/deploys release (\d+)/g), round === 1 ? ['2'] : ['2', '3'])

    const texts = await agree(tabs, said.length)
    assert.equal([...texts].sort(), [...said].sort(), 'each message once')
    for (const who of ['ann', 'client 0', 'client 1']) {
      const of = (all: string[]) => all.filter((text) => text.startsWith(who))
      assert.equal(of(texts), of(said), 'in the order of its sender')
    }
    for (const { messages } of clients) {
      await until(() => messages.length >= said.length, 'all messages at the clients')
      assert.equal(
        messages.map(({ text }) => text),
        texts,
        'they came in the order in which they are shown',
      )
    }
    for (const { ids, ends, connections: count } of connections) assert.equal([ids.length, ends, count], [1, 0, 1])
    assert.equal(disconnects, [])
    assert.equal(
      clients.map(({ id }) => id),
      ids,
    )
    for (const absence of absences) assert.is(await absence(), 0, 'nobody leaves')
    for (const tab of tabs) {
      assert.is(await tab.log.getByText(/connection to .* is gone/).count(), 0)
      assert.is(await tab.log.locator('.pending, .failed').count(), 0)
    }
  }
  // What was said is known to the processes of today.
  const late = await site.join('gina')
  assert.is((await late.served()).release, 3)
  assert.equal(await agree([late], 50), (await ann.texts()).slice(-50))
})

chat(
  'a deploy of code that crashes at its start is told of, and the chat goes on; the next one is as any other',
  async (site) => {
    const ann = await site.open()
    const connection = watchConnection(ann.page)
    await ann.logIn('ann')
    const ben = await site.join('ben')
    const eve = await site.client('eve')
    const disconnects: string[] = []
    eve.on('disconnect', (reason) => disconnects.push(reason))
    for (const tab of [ann, ben]) await tab.showsOnline('ann', 'ben', 'eve')
    const absence = await watchFor(ann, 'ben')
    const before = await ann.served()
    const webs = WORKERS.filter((id) => id.startsWith('web'))
    const pids = webs.map((id) => site.pidOf(id))

    const file = path.join(site.folder, 'web.js')
    const code = fs.readFileSync(file)
    fs.writeFileSync(file, "throw new Error('release 2 was never tried')")
    const stop = talk(eve, 'eve says')
    await ann.deployButton.click()
    for (const tab of [ann, ben]) {
      const failure = tab.log.getByText('Release 2 is not deployed.')
      await failure.waitFor()
      assert.match((await failure.textContent()) ?? '', /web-1.*release 2 was never tried/s)
      await tab.page.getByRole('button', { name: 'Deploy', exact: true }).waitFor()
      assert.is(await tab.page.locator('#deploy-progress').isVisible(), false)
    }
    assert.equal(await ann.served(), before)
    assert.equal(
      webs.map((id) => site.pidOf(id)),
      pids,
      'nobody was exchanged',
    )
    await ann.say('still here')

    fs.writeFileSync(file, code)
    await ann.deployButton.click()
    for (const tab of [ann, ben]) await tab.log.getByText('Release 3 is live').waitFor({ state: 'attached' })
    const after = await ann.served()
    assert.is(after.release, 3)
    assert.is(after.pid, site.pidOf(before.worker))
    const said = [...(await stop()), 'still here']
    const texts = await agree([ann, ben], said.length)
    assert.equal([...texts].sort(), said.sort(), 'each message once')
    assert.equal([connection.ids.length, connection.ends, connection.connections], [1, 0, 1])
    assert.equal(disconnects, [])
    assert.is(await absence(), 0, 'nobody leaves')
  },
  { copied: true },
)

test.run()
