/** What one does with the official packages: a new worker, then `io.close()` in the old one, whose clients come back. */
import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdapter, setupPrimary } from '@socket.io/cluster-adapter'
import { setupMaster, setupWorker } from '@socket.io/sticky'
import { Server } from 'socket.io'
import { RELOAD } from '../reload-workloads.js'
import { cpuUsed, ROOM, run, serveClients } from './contestant.js'

type ToWorker = { bench: 'emit'; n: number } | { bench: 'cpu' } | { bench: 'end' }
type FromWorker = { bench: 'ready' } | { bench: 'used'; cpu: number }

if (cluster.isPrimary) {
  const server = http.createServer()
  setupMaster(server, { loadBalancingMethod: 'least-connection' })
  setupPrimary()
  cluster.setupPrimary({ serialization: 'advanced' })
  const tell = (worker: Worker, message: ToWorker) => worker.send(message)
  /** What it says next of what is the bench's. */
  const answer = (worker: Worker) =>
    new Promise<FromWorker>((resolve) => {
      const onMessage = (message: FromWorker) => {
        if (message?.bench === undefined) return
        worker.off('message', onMessage)
        resolve(message)
      }
      worker.on('message', onMessage)
    })
  const start = async () => {
    const worker = cluster.fork()
    await answer(worker)
    return worker
  }
  const used = async (worker: Worker, message: ToWorker) => {
    const told = answer(worker)
    tell(worker, message)
    const usage = await told
    return usage.bench === 'used' ? usage.cpu : Number.NaN
  }
  let workers = await Promise.all(Array.from({ length: RELOAD.workers }, start))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  await run({
    port: (server.address() as AddressInfo).port,
    pids: () => workers.flatMap(({ process: { pid } }) => pid ?? []),
    emit(n) {
      for (const worker of workers) if (worker.isConnected()) tell(worker, { bench: 'emit', n })
    },
    async reload(allBack) {
      const exchanged = { moving: 0, old: 0, new: 0, primary: 0 }
      const before = await Promise.all(workers.map((worker) => used(worker, { bench: 'cpu' })))
      const fresh: { worker: Worker; before: number }[] = []
      for (const [i, old] of workers.entries()) {
        const worker = await start()
        fresh.push({ worker, before: await used(worker, { bench: 'cpu' }) })
        workers = workers.with(i, worker)
        const back = allBack()
        const begun = performance.now()
        const cpu = cpuUsed()
        exchanged.old += (await used(old, { bench: 'end' })) - (before[i] ?? 0)
        await back
        exchanged.moving += performance.now() - begun
        exchanged.primary += cpuUsed() - cpu
      }
      for (const { worker, before } of fresh) exchanged.new += (await used(worker, { bench: 'cpu' })) - before
      return exchanged
    },
  })
} else {
  const server = http.createServer()
  const io = new Server(server, { serveClient: false })
  io.adapter(createAdapter())
  setupWorker(io)
  serveClients(io)
  const tell = (message: FromWorker) => process.send?.(message)
  process.on('message', async (message: ToWorker) => {
    if (message?.bench === 'emit') io.local.to(ROOM).emit('m', message.n)
    else if (message?.bench === 'cpu') tell({ bench: 'used', cpu: cpuUsed() })
    else if (message?.bench === 'end') {
      await io.close()
      process.send?.({ bench: 'used', cpu: cpuUsed() } satisfies FromWorker, () => process.exit(0))
    }
  })
  tell({ bench: 'ready' })
}
