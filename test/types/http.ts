// Compiled, never run: hub.listen and hub.serve, and their options.
import http from 'node:http'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import {
  type HandedOver,
  type Hub,
  type HubStats,
  handoverOf,
  type Listening,
  type ListenOptions,
  type PrimaryHub,
  type ServeOptions,
  type Sticky,
  type WorkerHub,
} from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { WebSocket, WebSocketServer } from 'ws'
import type { App } from './app.js'
import { type Equal, expectType, the } from './assert.js'

const primary = the<PrimaryHub<App>>()
const worker = the<WorkerHub<App>>()

// The port.
const listening = primary.listen({ port: 0 })
expectType<Equal<typeof listening, Promise<Listening>>>()
expectType<Equal<ReturnType<Listening['address']>, AddressInfo>>()
expectType<Equal<ReturnType<Listening['close']>, Promise<void>>>()
const options: ListenOptions = {
  port: 3000,
  host: '127.0.0.1',
  role: 'web',
  sticky: 'socket.io',
  path: '/chat/',
  backlog: 1,
  maxRequestLine: 1,
  headTimeout: 1,
  maxWaiting: 0,
  waitTimeout: 1,
}
primary.listen(options)
// @ts-expect-error a port is needed
primary.listen({})
// @ts-expect-error a port is a number
primary.listen({ port: '3000' })
// @ts-expect-error options, not a port
primary.listen(3000)
// @ts-expect-error no such option
primary.listen({ port: 0, hostname: 'localhost' })
// @ts-expect-error one role
primary.listen({ port: 0, role: ['web', 'api'] })
// @ts-expect-error a number
primary.listen({ port: 0, waitTimeout: '1s' })
// @ts-expect-error only the primary listens
worker.listen({ port: 0 })
// @ts-expect-error nor does code for any member
the<Hub<App>>().listen({ port: 0 })

// Sticky modes.
const modes: Sticky[] = ['socket.io', 'ip', { header: 'x-forwarded-for' }, { cookie: 'io' }, false]
for (const sticky of modes) primary.listen({ port: 0, sticky })
// @ts-expect-error no such mode
primary.listen({ port: 0, sticky: 'least-connection' })
// @ts-expect-error which one would it be
primary.listen({ port: 0, sticky: true })
// @ts-expect-error no such mode
primary.listen({ port: 0, sticky: { query: 'sid' } })
// @ts-expect-error a header has a name
primary.listen({ port: 0, sticky: { header: true } })
// @ts-expect-error one or the other
primary.listen({ port: 0, sticky: { header: 'x-forwarded-for', cookie: 'io' } })

// The server.
const served = worker.serve(http.createServer())
expectType<Equal<typeof served, void>>()
worker.serve(https.createServer())
primary.serve(http.createServer())
the<Hub<App>>().serve(http.createServer())
// @ts-expect-error a server
worker.serve()
// @ts-expect-error a server, not what it calls
worker.serve((_req: http.IncomingMessage, res: http.ServerResponse) => res.end())
// @ts-expect-error it speaks no HTTP
worker.serve(net.createServer())
// @ts-expect-error Socket.IO's server has an HTTP server: serve that
worker.serve(new Server())

// Plain WebSockets.
const wss = new WebSocketServer({ noServer: true })
class Player extends WebSocket {
  score = 0
}
const players = new WebSocketServer({ noServer: true, WebSocket: Player })
worker.serve(http.createServer(), {})
worker.serve(http.createServer(), { webSockets: wss })
worker.serve(http.createServer(), { webSockets: [wss], onHandover: (ws) => ws.url })
primary.serve(http.createServer(), {
  webSockets: players,
  onHandover: (player) => {
    expectType<Equal<typeof player, Player>>()
    return player.score
  },
})
const served2: ServeOptions<Player> = { webSockets: [players], onHandover: () => {} }
the<Hub<App>>().serve(http.createServer(), served2)
// @ts-expect-error no such option
worker.serve(http.createServer(), { websockets: wss })
// @ts-expect-error the server, not one of its WebSockets
worker.serve(http.createServer(), { webSockets: the<WebSocket>() })
// @ts-expect-error an HTTP server has none
worker.serve(http.createServer(), { webSockets: http.createServer() })
// @ts-expect-error a function
worker.serve(http.createServer(), { webSockets: wss, onHandover: 'state' })
const handedOver = handoverOf(the<WebSocket>())
expectType<Equal<typeof handedOver, HandedOver | undefined>>()
expectType<Equal<HandedOver['state'], unknown>>()
// @ts-expect-error a WebSocket
handoverOf('socket')

// Socket.IO, in any member, with its types kept.
interface FromServer {
  said: (text: string) => void
}
const io = attachSocketIo(new Server<FromServer, FromServer>(), worker)
expectType<Equal<typeof io, Server<FromServer, FromServer>>>()
attachSocketIo(new Server(), primary)
attachSocketIo(new Server(), the<Hub<App>>())
attachSocketIo(new Server(), the<Hub>())
// @ts-expect-error the hub, not the HTTP server
attachSocketIo(new Server(), http.createServer())
// @ts-expect-error the hub, not what is to become it
attachSocketIo(new Server(), the<Promise<Hub>>())
// @ts-expect-error the server first
attachSocketIo(worker, new Server())
// @ts-expect-error both
attachSocketIo(new Server())

const { http: counters } = the<HubStats>()
expectType<Equal<NonNullable<typeof counters>['waiting'], number>>()
