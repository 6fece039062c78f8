/** Plain cluster: workers that listen. */
import cluster from 'node:cluster'
import { once } from 'node:events'
import http from 'node:http'
import { run, WORKERS } from './contestant.js'

if (cluster.isPrimary) {
  await run(async () => {
    const workers = Array.from({ length: WORKERS }, () => cluster.fork())
    const listening = await Promise.all(workers.map((worker) => once(worker, 'listening')))
    return { port: listening[0]?.[0].port, pids: workers.flatMap(({ process: { pid } }) => pid ?? []) }
  })
} else {
  http.createServer({ keepAliveTimeout: 60_000 }, (_request, response) => response.end()).listen(0, '127.0.0.1')
}
