/**
 * An auction over plain WebSockets, on two web workers that are exchanged without anybody noticing. `npm run start:ws`
 * runs it: open the page twice, bid, and press Enter here to deploy.
 *
 * `PORT` chooses the port (3000). It listens on this machine only.
 */
import { startHub } from 'hubwire'
import type { Auction } from './contract.js'

const port = Number(process.env.PORT ?? 3000)
const log = (text: string) => console.log(`primary  ${text}`)

try {
  const hub = await startHub<Auction>({
    workers: [{ role: 'web', count: 2, exec: new URL('./web.js', import.meta.url) }],
  })
  let n = 0
  hub.on('offer', (by, amount) => hub.to({ role: 'web' }).emit('bid', { n: ++n, by, amount }))
  for (const { id, pid } of hub.members) log(`${id} is pid ${pid}`)
  hub.lifecycle.on('reload', ({ id, pid }, { phase }) => phase === 'draining' && log(`${id} is pid ${pid}`))

  const listening = await hub.listen({ port, host: '127.0.0.1', role: 'web', sticky: false })
  log(
    `listening on http://localhost:${listening.address().port}. Open it twice, and bid. Enter deploys, Ctrl-C ends it.`,
  )

  process.stdin.on('data', async () => {
    try {
      await hub.reload()
      log(`deployed: ${hub.stats().handover?.moved ?? 0} WebSockets were handed over so far`)
    } catch (error) {
      log((error as Error).message)
    }
  })
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException
  console.error(code === 'EADDRINUSE' ? `Port ${port} is taken. Choose another: PORT=3001 npm run start:ws` : message)
  process.exit(1)
}
