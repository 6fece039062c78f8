/** The hub, its workers and its port. */
import cluster from 'node:cluster'
import http from 'node:http'
import { joinHub, startHub } from 'hubwire'
import { run, WORKERS } from './contestant.js'

if (cluster.isPrimary) {
  await run(async () => {
    const hub = await startHub({ workers: [{ role: 'web', count: WORKERS }] })
    const listening = await hub.listen({ port: 0, host: '127.0.0.1' })
    return {
      port: listening.address().port,
      pids: hub.members.flatMap(({ id, pid }) => (id === hub.id || pid === undefined ? [] : [pid])),
    }
  })
} else {
  const hub = await joinHub()
  hub.serve(http.createServer({ keepAliveTimeout: 60_000 }, (_request, response) => response.end()))
}
