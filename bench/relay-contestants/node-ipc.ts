/** node-ipc over its Unix sockets: the primary is the server, and passes on what comes. */

import cluster from 'node:cluster'
import type { Socket } from 'node:net'
import ipc from 'node-ipc'
import { socketOf } from '../sockets.js'
import { type Item, SENDER } from '../workloads.js'
import { run } from './contestant.js'

/** `call` and `answer` number the requests. */
type Message = Item & { call?: number; answer?: number }

ipc.config.silent = true

await run({
  async fork(seats) {
    const sockets = new Map<string, Socket>()
    await new Promise<void>((resolve) => {
      ipc.serve(socketOf('server'), resolve)
      ipc.server.start()
    })
    ipc.server.on<{ seat: string }>('hello', ({ seat }, socket) => {
      sockets.set(seat, socket)
      ipc.server.emit(socket, 'welcome')
    })
    ipc.server.on<Message>('item', (message) => {
      if (message.to !== 'everybody') return ipc.server.emit(sockets.get(message.to) as Socket, 'item', message)
      for (const [seat, socket] of sockets) if (seat !== SENDER) ipc.server.emit(socket, 'item', message)
    })
    for (const seat of seats) cluster.fork({ SEAT: seat })
  },
  async connect(seat) {
    await new Promise<void>((resolve) => ipc.connectTo('hub', socketOf('server'), resolve))
    const hub = ipc.of.hub as (typeof ipc.of)[string]
    hub.emit('hello', { seat })
    await new Promise<void>((resolve) => void hub.on('welcome', () => resolve()))
    const send = (to: string, message: Message) => hub.emit('item', Object.assign(message, { to }))
    const calls = new Map<number, (answer: Item) => void>()
    let last = 0
    hub.on<Message>('item', (message) => {
      if (message.answer === undefined) return
      const resolve = calls.get(message.answer)
      calls.delete(message.answer)
      resolve?.(message)
    })
    return {
      listen: (onItem) => void hub.on<Message>('item', onItem),
      serve: () =>
        void hub.on<Message>('item', ({ call, ...item }) => {
          if (call !== undefined) send(SENDER, { ...item, answer: call })
        }),
      send,
      sendAll: (item) => send('everybody', item),
      request(to, item) {
        const call = ++last
        return new Promise((resolve) => {
          calls.set(call, resolve)
          send(to, { ...item, call })
        })
      },
    }
  },
})
