/** The hub listens, and routes. */
import { run } from './contestant.js'

await run({
  async open(hub) {
    return [(await hub.listen({ port: 0, host: '127.0.0.1', role: 'web' })).address().port]
  },
  serve: (server, hub) => hub.serve(server),
})
