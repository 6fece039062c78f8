/** RabbitMQ by amqplib: transient messages, queues that end with their consumer, no acknowledgements; direct reply-to. */
import { once } from 'node:events'
import amqp, { type Message } from 'amqplib'
import { AMQP_URL } from '../brokers.js'
import { type Item, pack, SENDER, unpack } from '../workloads.js'
import { job, PREFIX, run } from './contestant.js'

await run({
  server: 'beam.smp',
  async connect(seat) {
    const connection = await amqp.connect(AMQP_URL)
    const channel = await connection.createChannel()
    const everybody = `${PREFIX}everybody`
    await channel.assertExchange(everybody, 'fanout', { durable: false, autoDelete: true })
    const consume = async (onMessage: (message: Message) => void) => {
      const queue = `${PREFIX}${seat}`
      await channel.assertQueue(queue, { exclusive: true, durable: false, autoDelete: true })
      await channel.bindQueue(queue, everybody, '')
      await channel.consume(queue, (message) => message && onMessage(message), { noAck: true })
    }
    const bytes = (item: Item) => {
      const packed = pack(item)
      return typeof packed === 'string' ? Buffer.from(packed) : packed
    }
    const calls = new Map<string, (answer: Item) => void>()
    let last = 0
    if (seat === SENDER && job.kind !== 'events') {
      const onAnswer = (message: Message | null) => {
        if (!message) return
        const resolve = calls.get(message.properties.correlationId)
        calls.delete(message.properties.correlationId)
        resolve?.(unpack(message.content, job.payload))
      }
      await channel.consume('amq.rabbitmq.reply-to', onAnswer, { noAck: true })
    }
    return {
      listen: (onItem) => consume(({ content }) => onItem(unpack(content, job.payload))),
      serve: () =>
        consume(({ content, properties: { replyTo, correlationId } }) => {
          channel.sendToQueue(replyTo, bytes(unpack(content, job.payload)), { correlationId })
        }),
      send: (to, item) => channel.sendToQueue(`${PREFIX}${to}`, bytes(item)),
      sendAll: (item) => channel.publish(everybody, '', bytes(item)),
      drained: () => once(channel, 'drain'),
      request(to, item) {
        const correlationId = String(++last)
        return new Promise((resolve) => {
          calls.set(correlationId, resolve)
          channel.sendToQueue(`${PREFIX}${to}`, bytes(item), { correlationId, replyTo: 'amq.rabbitmq.reply-to' })
        })
      },
    }
  },
})
