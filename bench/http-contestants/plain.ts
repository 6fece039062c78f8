/** Plain cluster: no stickiness, the connections dealt out in turn. */
import cluster from 'node:cluster'
import { once } from 'node:events'
import { createApp, measure, WORKERS } from '../http-workloads.js'

if (cluster.isPrimary) {
  const workers = Array.from({ length: WORKERS }, () => cluster.fork())
  const listening = await Promise.all(workers.map((worker) => once(worker, 'listening')))
  await measure(
    listening[0]?.[0].port,
    workers.map((worker) => worker.process.pid),
  )
} else {
  createApp().listen(0, '127.0.0.1')
}
