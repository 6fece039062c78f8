/** Redis publish and subscribe, by ioredis with automatic pipelining. A request is two messages, by hand. */
import { Redis } from 'ioredis'
import { REDIS_URL } from '../brokers.js'
import { type Client, run } from './broker.js'

await run(async () => {
  const publisher = new Redis(REDIS_URL, { enableAutoPipelining: true })
  // A connection that subscribes can do nothing else.
  const subscriber = new Redis(REDIS_URL)
  const listeners = new Map<string, (text: string) => void>()
  subscriber.on('message', (channel: string, text: string) => listeners.get(channel)?.(text))

  let last: Promise<unknown> = Promise.resolve()
  let lastCall = 0
  const calls = new Map<number, (answer: string) => void>()
  const inbox = `answers:${process.pid}`

  const client: Client = {
    async subscribe(channel, onText) {
      listeners.set(channel, onText)
      await subscriber.subscribe(channel)
    },
    publish(channel, text) {
      last = publisher.publish(channel, text)
    },
    async flush() {
      await last
    },
    async serve(id, answer) {
      await client.subscribe(`tasks:${id}`, (request) => {
        const [call, to] = request.split(' ', 2) as [string, string]
        const input = request.slice(call.length + to.length + 2)
        client.publish(to, `${call} ${answer(input)}`)
      })
    },
    ask(id, input) {
      const call = ++lastCall
      return new Promise((resolve) => {
        calls.set(call, resolve)
        client.publish(`tasks:${id}`, `${call} ${inbox} ${input}`)
      })
    },
  }
  await client.subscribe(inbox, (answer) => {
    const end = answer.indexOf(' ')
    const call = Number(answer.slice(0, end))
    const resolve = calls.get(call)
    calls.delete(call)
    resolve?.(answer.slice(end + 1))
  })
  return client
})
