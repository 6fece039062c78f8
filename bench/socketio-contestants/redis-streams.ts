import cluster from 'node:cluster'
import { createAdapter } from '@socket.io/redis-streams-adapter'
import { Redis } from 'ioredis'
import { REDIS_URL } from '../brokers.js'
import { run } from './contestant.js'

await run({
  server: 'redis-server',
  async start(workers) {
    for (let i = 0; i < workers; i++) cluster.fork()
  },
  async attach(io) {
    io.adapter(createAdapter(new Redis(REDIS_URL)))
  },
})
