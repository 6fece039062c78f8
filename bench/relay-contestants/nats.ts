/** NATS core: publish and subscribe, its own request and reply, and a queue group for tasks. */
import { connect } from 'nats'
import { NATS_URL } from '../brokers.js'
import { pack, unpack } from '../workloads.js'
import { job, PREFIX, run } from './contestant.js'

await run({
  server: 'nats-server',
  async connect(seat) {
    const connection = await connect({ servers: NATS_URL })
    const encode = (packed: string | Buffer) => (typeof packed === 'string' ? encoder.encode(packed) : packed)
    const encoder = new TextEncoder()
    const ask = async (subject: string, packed: string | Buffer) => {
      const { data } = await connection.request(subject, encode(packed), { timeout: 30_000 })
      return unpack(data, job.payload)
    }
    return {
      async listen(onItem) {
        for (const subject of [`${PREFIX}items.${seat}`, `${PREFIX}items.everybody`]) {
          connection.subscribe(subject, { callback: (_error, { data }) => onItem(unpack(data, job.payload)) })
        }
        await connection.flush()
      },
      async serve() {
        for (const [subject, options] of [
          [`${PREFIX}tasks.${seat}`, {}],
          [`${PREFIX}tasks.anybody`, { queue: 'servers' }],
        ] as const) {
          connection.subscribe(subject, {
            ...options,
            callback: (_error, message) => void message.respond(encode(pack(unpack(message.data, job.payload)))),
          })
        }
        await connection.flush()
      },
      send: (to, item) => connection.publish(`${PREFIX}items.${to}`, encode(pack(item))),
      sendAll: (item) => connection.publish(`${PREFIX}items.everybody`, encode(pack(item))),
      flush: () => connection.flush(),
      request: (to, item) => ask(`${PREFIX}tasks.${to}`, pack(item)),
      delegate: (item) => ask(`${PREFIX}tasks.anybody`, pack(item)),
    }
  },
})
