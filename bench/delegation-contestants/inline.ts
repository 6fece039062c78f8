/** Reports are made in the web workers. */
import cluster from 'node:cluster'
import { joinHub, startHub } from 'hubwire'
import { measure } from '../http-workloads.js'
import { createApp, makeReport, REPORT_WORKERS, WEB_WORKERS } from './app.js'

if (cluster.isPrimary) {
  // As many processes as the other has, so that the machine is shared by as many.
  const hub = await startHub({ workers: [{ role: 'web', count: WEB_WORKERS + REPORT_WORKERS }] })
  const listening = await hub.listen({ port: 0, host: '127.0.0.1', role: 'web' })
  const pids = hub.members.map(({ id, pid }) => (id === hub.id ? undefined : pid))
  await measure(listening.address().port, pids, './delegation-load.js')
} else {
  const hub = await joinHub()
  hub.serve(createApp(makeReport))
}
