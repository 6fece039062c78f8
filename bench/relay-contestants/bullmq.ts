/** BullMQ: a queue in Redis. A job's answer comes by its events. */
import { Queue, QueueEvents, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { REDIS_URL } from '../brokers.js'
import { type Item, SENDER } from '../workloads.js'
import { job, run } from './contestant.js'

const name = 'hubwire-bench'

await run({
  server: 'redis-server',
  async connect(seat) {
    const connection = () => new Redis(REDIS_URL, { maxRetriesPerRequest: null })
    if (seat !== SENDER) {
      return {
        async serve() {
          const concurrency = Math.ceil((job.inFlight ?? 1) / job.receivers)
          await new Worker<Item, Item>(name, async ({ data }) => data, {
            connection: connection(),
            concurrency,
          }).waitUntilReady()
        },
      }
    }
    const queue = new Queue<Item, Item>(name, {
      connection: connection(),
      // Some are kept: what is gone at once cannot be waited for.
      defaultJobOptions: { removeOnComplete: { count: 1000 }, removeOnFail: true },
    })
    // What an earlier run that was interrupted left behind.
    await queue.obliterate({ force: true })
    const events = new QueueEvents(name, { connection: connection() })
    await events.waitUntilReady()
    return {
      delegate: async (item) => (await queue.add('echo', item)).waitUntilFinished(events),
    }
  },
})
