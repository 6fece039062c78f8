import { joinHub, startHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { run } from './contestant.js'

await run({
  async start(workers) {
    await startHub({ workers: [{ role: 'web', count: workers, args: process.argv.slice(2) }] })
  },
  async attach(io) {
    attachSocketIo(io, await joinHub())
  },
})
