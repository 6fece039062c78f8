/** The same connections with no routing: each web worker listens by itself, and clients go to one after the other. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { run } from './contestant.js'

await run({
  async open(hub) {
    const answers = await hub.to({ role: 'web' }).gather('port')
    return answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : Number.NaN))
  },
  async serve(server, hub) {
    server.listen({ port: 0, host: '127.0.0.1', exclusive: true })
    await once(server, 'listening')
    hub.handle('port', () => (server.address() as AddressInfo).port)
  },
})
