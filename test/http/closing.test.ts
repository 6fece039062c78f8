import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { until } from '../conditions.js'
import { Client, fetch, site } from './harness.js'

const GRACE = 4000

site('hub.close() lets requests in progress finish, and waits for nothing else', {}, async ({ hub, port }) => {
  const [idle, upgraded] = [new Client(port), new Client(port)]
  await idle.who()
  upgraded.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
  await upgraded.until(() => upgraded.received.includes('101'), 'it is not upgraded')
  const slow = Array.from({ length: 6 }, () => fetch(port, '/slow/600'))
  let answered = 0
  for (const request of slow) request.then(() => answered++)
  const open = async () => {
    const counts = await Promise.all(['web-1', 'web-2'].map((id) => hub.to(id).request('open')))
    return counts.reduce((sum, n) => sum + n, 0)
  }
  await until(async () => (await open()) === 8 || answered > 0, 'all are with their workers')
  const start = performance.now()
  await hub.close()
  const took = performance.now() - start
  const answers = await Promise.all(slow)
  for (const { status, body } of answers) assert.equal([status, /^web-[12]$/.test(body)], [200, true])
  assert.ok(took < GRACE, `${took} ms`)
  await idle.until(() => idle.ended || idle.closed, 'the idle connection stays open')
  await upgraded.until(() => upgraded.ended || upgraded.closed, 'the upgraded connection stays open')
  idle.destroy()
  upgraded.destroy()
})

site('a request that takes longer than the grace period ends with its worker', { count: 1 }, async ({ hub, port }) => {
  const slow = fetch(port, '/slow/60000').then(
    () => 'answered',
    (error) => error.code,
  )
  await until(async () => (await hub.to('web-1').request('open')) === 1, 'it is with its worker')
  const start = performance.now()
  await hub.close()
  const took = performance.now() - start
  assert.is(await slow, 'ECONNRESET')
  // Half of it goes by for requests; a wait of its own for anything else would make it longer.
  assert.ok(took < GRACE * 1.4, `${took} ms`)
})

test.run()
