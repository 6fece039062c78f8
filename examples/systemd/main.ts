/**
 * A service of systemd: it says when it is ready, that it lives, and when it ends. `hubwire.service`, beside the source of
 * this file, is its unit. `PORT` chooses the port (3000).
 */
import { startHub } from 'hubwire'
import { feedWatchdog, notify } from './notify.js'

const hub = await startHub({
  // Below the unit's TimeoutStopSec.
  gracePeriod: 10_000,
  workers: [{ role: 'web', count: 2, exec: new URL('./web.js', import.meta.url), hungAfter: 10_000 }],
})
const listening = await hub.listen({ port: Number(process.env.PORT ?? 3000), host: '127.0.0.1', role: 'web' })
for (const { id, pid } of hub.members) console.log(`${id} is pid ${pid}`)
console.log(`listening on http://127.0.0.1:${listening.address().port}`)

const workers = () => hub.members.filter(({ id }) => id !== hub.id)
const ready = () => workers().filter(({ state }) => state === 'ready').length
const tell = () => notify(`STATUS=${ready()} of ${workers().length} workers are ready`)

// From now on those who depend on it may start. The hub is as good as its workers: while none is ready it is not fed.
await notify('--ready', `STATUS=${ready()} of ${workers().length} workers are ready`)
feedWatchdog(() => ready() > 0)
hub.lifecycle.on('join', tell)
hub.lifecycle.on('restart', tell)

// The hub ends everything by itself at SIGTERM. This only says so.
process.once('SIGTERM', () => notify('STOPPING=1'))
