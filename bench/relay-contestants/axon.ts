/** axon over Unix sockets, with no primary between: push and pull, pub and sub, req and rep. */
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import axon from 'axon'
import { socketOf } from '../sockets.js'
import { type Item, isBinary, pack, receivers, SENDER, unpack } from '../workloads.js'
import { type Client, job, run } from './contestant.js'

await run({ connect })

/** The receivers bind, each its own socket, and the sender connects. */
async function connect(seat: string): Promise<Client> {
  const url = (to: string) => `unix://${socketOf(to)}`
  const kind =
    job.kind !== 'events'
      ? (['req', 'rep'] as const)
      : job.receivers > 1
        ? (['pub', 'sub'] as const)
        : (['push', 'pull'] as const)
  if (seat === SENDER) {
    const socket = axon.socket(kind[0])
    for (const to of receivers(job)) {
      // Its second attempt at a Unix socket takes the path for a port.
      while (!existsSync(socketOf(to))) await sleep(5)
      await new Promise<void>((resolve) => {
        socket.once('connect', resolve)
        socket.connect(url(to))
      })
    }
    const send = (item: Item) => socket.send(isBinary(job.payload) ? pack(item) : item)
    const request = (item: Item) => new Promise((resolve) => socket.send(item, resolve))
    return { send: (_to, item) => send(item), sendAll: send, request: (_to, item) => request(item), delegate: request }
  }
  const socket = axon.socket(kind[1])
  // Of Unix sockets it forgets the callback.
  await new Promise<void>((resolve) => {
    socket.once('bind', resolve)
    socket.bind(url(seat))
  })
  return {
    listen(onItem) {
      if (isBinary(job.payload)) socket.on('message', (bytes: Buffer) => onItem(unpack(bytes, job.payload)))
      else socket.on('message', onItem)
    },
    serve: () => void socket.on('message', (item: Item, reply) => reply(item)),
  }
}
