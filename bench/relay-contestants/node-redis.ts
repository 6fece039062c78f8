/** Redis publish and subscribe, by node-redis, which pipelines what is sent in one turn. A request is two messages. */
import { createClient } from 'redis'
import { REDIS_URL } from '../brokers.js'
import { isBinary, pack, SENDER, unpack } from '../workloads.js'
import { job, PREFIX, run } from './contestant.js'
import { Calls } from './requests.js'

await run({
  server: 'redis-server',
  async connect(seat) {
    // Its default gives each command a timer of its own, which takes longer than all else of it.
    const publisher = await createClient({ url: REDIS_URL, commandOptions: { timeout: 0 } }).connect()
    const subscriber = await publisher.duplicate().connect()
    let last: Promise<unknown> = Promise.resolve()
    const publish = (channel: string, packed: string | Buffer) => {
      last = publisher.publish(PREFIX + channel, packed)
    }
    const calls = new Calls(publish)
    if (seat === SENDER && job.kind !== 'events')
      await subscriber.subscribe(PREFIX + calls.inbox, (text) => calls.onAnswer(text))
    return {
      async listen(onItem) {
        const onMessage = (packed: string | Buffer) => onItem(unpack(packed, job.payload))
        const channels = [PREFIX + seat, `${PREFIX}everybody`]
        if (isBinary(job.payload)) await subscriber.subscribe(channels, onMessage, true)
        else await subscriber.subscribe(channels, onMessage)
      },
      async serve() {
        await subscriber.subscribe(PREFIX + seat, (text) => calls.onRequest(text))
      },
      send: (to, item) => publish(to, pack(item)),
      sendAll: (item) => publish('everybody', pack(item)),
      flush: () => last,
      request: (to, item) => calls.request(to, item),
    }
  },
})
