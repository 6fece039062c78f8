/** Hubwire with Socket.IO on every worker: the primary looks at each connection for the session that it belongs to. */
import cluster from 'node:cluster'
import { joinHub, startHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { createApp, measure, serveEcho, WORKERS } from '../http-workloads.js'

if (cluster.isPrimary) {
  const hub = await startHub({ workers: [{ role: 'web', count: WORKERS }] })
  const listening = await hub.listen({ port: 0, host: '127.0.0.1' })
  await measure(
    listening.address().port,
    hub.members.map(({ id, pid }) => (id === hub.id ? undefined : pid)),
  )
} else {
  const hub = await joinHub()
  const server = createApp()
  hub.serve(server)
  serveEcho(attachSocketIo(new Server(server), hub))
}
