/** `@socket.io/sticky` as its page shows it, with the load balancing that uses both workers where nobody has a session. */
import cluster from 'node:cluster'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { setupMaster, setupWorker } from '@socket.io/sticky'
import { Server } from 'socket.io'
import { createApp, measure, serveEcho, WORKERS } from '../http-workloads.js'

if (cluster.isPrimary) {
  const server = http.createServer()
  setupMaster(server, { loadBalancingMethod: 'round-robin' })
  cluster.setupPrimary({ serialization: 'advanced' })
  const workers = Array.from({ length: WORKERS }, () => cluster.fork())
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  await measure(
    (server.address() as AddressInfo).port,
    workers.map((worker) => worker.process.pid),
  )
} else {
  const io = new Server(createApp())
  setupWorker(io)
  serveEcho(io)
  process.send?.('ready')
}
