/** Redis publish and subscribe, by ioredis with automatic pipelining. A request is two messages, by hand. */
import { Redis } from 'ioredis'
import { REDIS_URL } from '../brokers.js'
import { isBinary, pack, SENDER, unpack } from '../workloads.js'
import { job, PREFIX, run } from './contestant.js'
import { Calls } from './requests.js'

await run({
  server: 'redis-server',
  async connect(seat) {
    const publisher = new Redis(REDIS_URL, { enableAutoPipelining: true })
    // A connection that subscribes can do nothing else.
    const subscriber = new Redis(REDIS_URL)
    let last: Promise<unknown> = Promise.resolve()
    const publish = (channel: string, packed: string | Buffer) => {
      last = publisher.publish(PREFIX + channel, packed)
    }
    const calls = new Calls(publish)
    if (seat === SENDER && job.kind !== 'events') {
      subscriber.on('message', (_channel, text) => calls.onAnswer(text))
      await subscriber.subscribe(PREFIX + calls.inbox)
    }
    return {
      async listen(onItem) {
        const onMessage = (_channel: unknown, packed: string | Buffer) => onItem(unpack(packed, job.payload))
        if (isBinary(job.payload)) subscriber.on('messageBuffer', onMessage)
        else subscriber.on('message', onMessage)
        await subscriber.subscribe(PREFIX + seat, `${PREFIX}everybody`)
      },
      async serve() {
        subscriber.on('message', (_channel, text) => calls.onRequest(text))
        await subscriber.subscribe(PREFIX + seat)
      },
      send: (to, item) => publish(to, pack(item)),
      sendAll: (item) => publish('everybody', pack(item)),
      flush: () => last,
      request: (to, item) => calls.request(to, item),
    }
  },
})
