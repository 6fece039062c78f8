/** PostgreSQL's LISTEN and NOTIFY, by pg: at most 8,000 bytes of text. A request is two notifications, by hand. */
import pg from 'pg'
import { POSTGRES_URL } from '../brokers.js'
import { pack, SENDER, unpack } from '../workloads.js'
import { job, PREFIX, run } from './contestant.js'
import { Calls } from './requests.js'

await run({
  server: 'postgres',
  async connect(seat) {
    const publisher = new pg.Client({ connectionString: POSTGRES_URL })
    // Not the same: a notification would wait until all queries before it are answered.
    const subscriber = new pg.Client({ connectionString: POSTGRES_URL })
    await Promise.all([publisher.connect(), subscriber.connect()])
    let last: Promise<unknown> = Promise.resolve()
    const publish = (channel: string, packed: string | Buffer) => {
      last = publisher.query({ name: 'notify', text: 'SELECT pg_notify($1, $2)', values: [PREFIX + channel, packed] })
    }
    const calls = new Calls(publish)
    const listen = async (channel: string, onText: (text: string) => void) => {
      subscriber.on('notification', (message) => message.channel === PREFIX + channel && onText(message.payload ?? ''))
      await subscriber.query(`LISTEN "${PREFIX}${channel}"`)
    }
    if (seat === SENDER && job.kind !== 'events') await listen(calls.inbox, (text) => calls.onAnswer(text))
    return {
      async listen(onItem) {
        for (const channel of [seat, 'everybody']) await listen(channel, (text) => onItem(unpack(text, job.payload)))
      },
      serve: () => listen(seat, (text) => calls.onRequest(text)),
      send: (to, item) => publish(to, pack(item)),
      sendAll: (item) => publish('everybody', pack(item)),
      flush: () => last,
      request: (to, item) => calls.request(to, item),
    }
  },
})
