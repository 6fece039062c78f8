/** faye, its server in the primary, its clients over WebSockets. It knows no requests: two messages, by hand. */
import cluster from 'node:cluster'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import faye from 'faye'
import { type Item, SENDER } from '../workloads.js'
import { job, run } from './contestant.js'
import { Calls } from './requests.js'

await run({
  async fork(seats) {
    const server = http.createServer()
    new faye.NodeAdapter({ mount: '/faye', timeout: 45 }).attach(server)
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    for (const seat of seats) cluster.fork({ SEAT: seat, PORT: port })
  },
  async connect(seat) {
    const client = new faye.Client(`http://127.0.0.1:${process.env.PORT}/faye`)
    let last: PromiseLike<unknown> = Promise.resolve()
    const publish = (channel: string, message: unknown) => {
      last = client.publish(`/${channel}`, message)
    }
    const calls = new Calls(publish)
    const subscribe = async (channel: string, onMessage: (message: never) => void) => {
      await client.subscribe(`/${channel}`, onMessage)
    }
    if (seat === SENDER && job.kind !== 'events') await subscribe(calls.inbox, (text) => calls.onAnswer(text))
    return {
      async listen(onItem: (item: Item) => void) {
        for (const channel of [seat, 'everybody']) await subscribe(channel, onItem)
      },
      serve: () => subscribe(seat, (text) => calls.onRequest(text)),
      send: publish,
      sendAll: (item) => publish('everybody', item),
      flush: async () => void (await last),
      request: (to, item) => calls.request(to, item),
    }
  },
})
