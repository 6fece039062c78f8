import cluster from 'node:cluster'
import { run } from './contestant.js'
import { loadRedis } from './load-redis.js'

await run({
  async start(workers) {
    for (let i = 0; i < workers; i++) cluster.fork()
  },
  async attach(io) {
    const { createAdapter, connect } = await loadRedis()
    io.adapter(createAdapter(connect(), connect()))
  },
})
