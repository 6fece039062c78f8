/** Hubwire as a newcomer uses it: the public API only, and no options. */
import cluster from 'node:cluster'
import { joinHub, startHub } from 'hubwire'
import { createApp, measure, WORKERS } from '../http-workloads.js'

if (cluster.isPrimary) {
  const hub = await startHub({ workers: [{ role: 'web', count: WORKERS }] })
  const listening = await hub.listen({ port: 0, host: '127.0.0.1' })
  await measure(
    listening.address().port,
    hub.members.map(({ id, pid }) => (id === hub.id ? undefined : pid)),
  )
} else {
  const hub = await joinHub()
  hub.serve(createApp())
}
