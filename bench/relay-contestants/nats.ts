/** NATS core: publish, subscribe, and its own request and reply. */
import { connect } from 'nats'
import { NATS_URL } from '../brokers.js'
import { type Client, run } from './broker.js'

await run(async () => {
  const connection = await connect({ servers: NATS_URL })
  const encoder = new TextEncoder()
  const decoder = new TextDecoder()
  const client: Client = {
    async subscribe(channel, onText) {
      connection.subscribe(channel, { callback: (_error, message) => onText(decoder.decode(message.data)) })
      await connection.flush()
    },
    publish(channel, text) {
      connection.publish(channel, encoder.encode(text))
    },
    flush() {
      return connection.flush()
    },
    async serve(id, answer) {
      connection.subscribe(`tasks.${id}`, {
        callback: (_error, message) => {
          message.respond(encoder.encode(answer(decoder.decode(message.data))))
        },
      })
      await connection.flush()
    },
    async ask(id, input) {
      const message = await connection.request(`tasks.${id}`, encoder.encode(input), { timeout: 30_000 })
      return decoder.decode(message.data)
    },
  }
  return client
})
