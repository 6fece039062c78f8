/** Hubwire as a newcomer uses it: the public API only, and no options. */
import cluster from 'node:cluster'
import { joinHub, startHub } from 'hubwire'
import {
  askAll,
  concurrency,
  type Item,
  item,
  jobFromArguments,
  pump,
  RECEIVER,
  receivers,
  report,
  SENDER,
  Stopwatch,
} from '../workloads.js'

interface App {
  events: {
    go: () => void
    item: (item: Item) => void
    done: (p50?: number) => void
  }
  tasks: {
    echo: (item: Item) => Item
  }
}

const { workload, count } = jobFromArguments()

if (cluster.isPrimary) await primary()
else await worker()

async function primary(): Promise<void> {
  const args = process.argv.slice(2)
  const hub = await startHub<App>({ workers: [SENDER, ...receivers(workload)].map((id) => ({ id, args })) })
  await report({ pids: hub.members.flatMap(({ id, pid }) => (id === hub.id || pid === undefined ? [] : [pid])) })

  const stopwatch = new Stopwatch(
    receivers(workload).length,
    () => hub.to(SENDER).emit('go'),
    async (result) => {
      await report({ result })
      await hub.close()
      process.exit(0)
    },
  )
  hub.on('done', (p50) => stopwatch.done(p50))
  stopwatch.start()
}

async function worker(): Promise<void> {
  const hub = await joinHub<App>()

  if (hub.id !== SENDER) {
    let received = 0
    hub.on('item', () => {
      if (++received < count) return
      received = 0
      hub.to('primary').emit('done')
    })
    hub.handle('echo', (item) => item)
    return
  }

  hub.on('go', async () => {
    if (workload === 'oneway') {
      await pump(
        count,
        1000,
        (i) => hub.to(RECEIVER).emit('item', item(i)),
        () => hub.drained(RECEIVER),
      )
    } else if (workload === 'fanout') {
      await pump(
        count,
        1000,
        (i) => hub.broadcast('item', item(i)),
        () => hub.drained(),
      )
    } else {
      const p50 = await askAll(count, concurrency(workload), (i) => hub.to(RECEIVER).request('echo', item(i)))
      hub.to('primary').emit('done', p50)
    }
  })
}
