/** Hubwire as a newcomer uses it: the public API only, and no options; or with its one option for this, `pipe`. */
import { joinHub, startHub } from 'hubwire'
import type { Item } from '../workloads.js'
import { run } from './contestant.js'

interface App {
  events: { item: (item: Item) => void }
  tasks: { echo: (item: Item) => Item }
}

await run({
  async fork(seats) {
    const args = process.argv.slice(2)
    const transport = args.includes('pipe') ? 'pipe' : 'ipc'
    await startHub<App>({ transport, workers: seats.map((id) => ({ id, args, env: { SEAT: id } })) })
  },
  async connect() {
    const hub = await joinHub<App>()
    return {
      listen: (onItem) => void hub.on('item', onItem),
      serve: () => void hub.handle('echo', (item) => item),
      send: (seat, item) => hub.to(seat).emit('item', item),
      sendAll: (item) => hub.broadcast('item', item),
      drained: () => hub.drained(),
      request: (seat, item) => hub.to(seat).request('echo', item),
      delegate: (item) => hub.delegate('echo', item),
    }
  },
})
