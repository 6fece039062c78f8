/** Reports are made by dedicated workers, one at a time in each. */
import cluster from 'node:cluster'
import { joinHub, startHub } from 'hubwire'
import { measure } from '../http-workloads.js'
import { createApp, makeReport, REPORT_WORKERS, WEB_WORKERS } from './app.js'

interface App {
  tasks: { report: () => string }
}

if (cluster.isPrimary) {
  const hub = await startHub<App>({
    workers: [
      { role: 'web', count: WEB_WORKERS },
      { role: 'reports', count: REPORT_WORKERS },
    ],
  })
  const listening = await hub.listen({ port: 0, host: '127.0.0.1', role: 'web' })
  const pids = hub.members.map(({ id, pid }) => (id === hub.id ? undefined : pid))
  await measure(listening.address().port, pids, './delegation-load.js')
} else {
  const hub = await joinHub<App>()
  if (hub.role === 'web') hub.serve(createApp(() => hub.delegate('report')))
  else hub.handle('report', makeReport, { concurrency: 1 })
}
