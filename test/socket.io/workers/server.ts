/**
 * A Socket.IO server on a port of its own, with the adapter that ADAPTER names: 'memory', 'cluster' or 'hubwire'. PORT
 * 'none': without an HTTP server. SOCKET_IO: another version of socket.io, by the name that it is installed under. ADMIN:
 * with the Admin UI's instruments. The tests tell it what to do by sending functions.
 */
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { instrument } from '@socket.io/admin-ui'
import { createAdapter } from '@socket.io/cluster-adapter'
import { joinHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import type { Socket, Server as SocketIoServer } from 'socket.io'
import { fromMessage, readBatch } from '#lib/wire/batch.js'
import { Kind, readKind } from '#lib/wire/frame.js'
import { parserOf } from '../parsers.js'
import type { App } from '../servers.js'

const { ADAPTER, PORT, OPTIONS, PARSER, ORDER, SOCKET_IO = 'socket.io', ADMIN } = process.env
// Of another version, too, the tests use only what both have.
const { Server }: { Server: typeof SocketIoServer } = await import(SOCKET_IO)
const hub = await joinHub<App>()
const io = new Server({ ...JSON.parse(OPTIONS ?? '{}'), ...parserOf(PARSER) })

if (ADAPTER === 'cluster') io.adapter(createAdapter())
// Namespaces that exist before it is attached, and such that come later.
io.of('/early')
if (ADAPTER === 'hubwire' && ORDER !== 'server first') attachSocketIo(io, hub)
if (ADMIN !== undefined) instrument(io, { auth: false, mode: 'development' })

function serve(socket: Socket): void {
  socket.on('join', async (rooms: string | string[], done: () => void) => {
    await socket.join(rooms)
    done()
  })
  socket.on('leave', async (room: string, done: () => void) => {
    await socket.leave(room)
    done()
  })
  socket.on('say', (room: string, ...args: unknown[]) => {
    socket.nsp.to(room).emit('said', ...args)
  })
  socket.on('data', (data: unknown, done: () => void) => {
    socket.data = data
    done()
  })
}
for (const name of ['/', '/early', '/chat', /^\/dynamic-\d+$/]) io.of(name).on('connection', serve)

let port = 0
if (PORT !== 'none') {
  const server = http.createServer()
  io.attach(server)
  if (ADAPTER === 'hubwire' && ORDER === 'server first') attachSocketIo(io, hub)
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1', exclusive: true }, resolve))
  port = (server.address() as AddressInfo).port
}
hub.handle('port', () => port)

/** For what a function leaves to a later one. */
const warnings: unknown[] = []
process.on('warning', (warning) => warnings.push((warning as NodeJS.ErrnoException).code))
const state: Record<string, unknown> = { packets: 0, warnings }
process.on('message', (message) => {
  const batch = fromMessage(message)
  if (!batch) return
  readBatch(batch, (text, at) => {
    if (readKind(text, at) === Kind.Packet) state.packets = (state.packets as number) + 1
  })
})
hub.handle('run', ({ source, args }) => {
  const run = new Function(`return (${source})`)() as (...args: unknown[]) => unknown
  return run({ io, hub, state, attach: (other: SocketIoServer) => attachSocketIo(other, hub) }, ...args)
})
