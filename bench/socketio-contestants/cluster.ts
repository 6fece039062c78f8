import cluster from 'node:cluster'
import { createAdapter, setupPrimary } from '@socket.io/cluster-adapter'
import { run } from './contestant.js'

await run({
  async start(workers) {
    cluster.setupPrimary({ serialization: 'advanced' })
    setupPrimary()
    for (let i = 0; i < workers; i++) cluster.fork()
  },
  async attach(io) {
    io.adapter(createAdapter())
  },
})
