/** `hub.reload()`: sessions are handed over. */
import cluster from 'node:cluster'
import http from 'node:http'
import { joinHub, startHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { RELOAD } from '../reload-workloads.js'
import { cpuUsed, ROOM, run, serveClients } from './contestant.js'

interface App {
  events: {
    /** A process ends, having used so much CPU in its time. */
    ending: (id: string, used: number) => void
  }
  tasks: {
    /** Since it was ready, and since it began. */
    cpu: () => { sinceReady: number; inAll: number }
  }
}

if (cluster.isPrimary) {
  const hub = await startHub<App>({ workers: [{ role: 'web', count: RELOAD.workers }] })
  const io = attachSocketIo(new Server(), hub)
  const { port } = (await hub.listen({ port: 0, host: '127.0.0.1' })).address()
  const ids = hub.members.flatMap(({ id }) => (id === hub.id ? [] : [id]))
  const ended = new Map<string, number>()
  hub.on('ending', (id, used) => ended.set(id, used))
  let draining = { at: 0, cpu: 0 }
  let moving = 0
  let primary = 0
  hub.lifecycle.on('reload', (_, { phase }) => {
    if (phase === 'draining') draining = { at: performance.now(), cpu: cpuUsed() }
    if (phase !== 'done') return
    moving += performance.now() - draining.at
    primary += cpuUsed() - draining.cpu
  })
  await run({
    port,
    pids: () => hub.members.flatMap(({ id, pid }) => (id === hub.id || pid === undefined ? [] : [pid])),
    emit: (n) => io.to(ROOM).emit('m', n),
    async reload() {
      moving = 0
      primary = 0
      const before = await Promise.all(ids.map((id) => hub.to(id).request('cpu')))
      await hub.reload()
      const after = await Promise.all(ids.map((id) => hub.to(id).request('cpu')))
      return {
        moving,
        primary,
        old: ids.reduce((sum, id, i) => sum + (ended.get(id) ?? Number.NaN) - (before[i]?.inAll ?? 0), 0),
        new: after.reduce((sum, { sinceReady }) => sum + sinceReady, 0),
      }
    },
  })
} else {
  const hub = await joinHub<App>({
    ready: 'manual',
    onStop: () => void hub.to('primary').emit('ending', hub.id, cpuUsed()),
  })
  const server = http.createServer()
  const io = new Server(server, { serveClient: false })
  attachSocketIo(io, hub)
  serveClients(io)
  hub.serve(server)
  const begin = cpuUsed()
  hub.handle('cpu', () => ({ sinceReady: cpuUsed() - begin, inAll: cpuUsed() }))
  hub.ready()
}
