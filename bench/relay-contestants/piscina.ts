/** piscina: threads of the process that asks, with no other process between. */
import { Piscina } from 'piscina'
import { job, run } from './contestant.js'

await run({
  threads: true,
  connect() {
    const pool = new Piscina({
      filename: new URL('./piscina-thread.js', import.meta.url).href,
      minThreads: job.receivers,
      maxThreads: job.receivers,
      concurrentTasksPerWorker: Math.ceil((job.inFlight ?? 1) / job.receivers),
    })
    return { delegate: (item) => pool.run(item) }
  },
})
