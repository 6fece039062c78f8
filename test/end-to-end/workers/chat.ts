/** A Socket.IO server like others: of role 'web' behind the hub's port, and without an HTTP server otherwise. */
import { createServer } from 'node:http'
import { joinHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server, type ServerOptions } from 'socket.io'

export interface Chat {
  tasks: {
    /** Emits to a room, or to all. */
    emit: (order: { room?: string; args: [string, ...unknown[]] }) => void
    /** How many sockets there are on all servers, in a room or in all, and how many here. */
    count: (room?: string) => Promise<{ all: number; here: number }>
    /** Engine.io sessions, and connections of the HTTP server, that are open here. */
    open: () => Promise<{ sessions: number; connections: number }>
  }
}

const hub = await joinHub<Chat>()
// Sessions by hand answer no pings.
const options: Partial<ServerOptions> = { pingInterval: 300_000, ...JSON.parse(process.env.OPTIONS ?? '{}') }
const server = createServer((_request, response) => response.end(hub.id))
// Connections that a test keeps for later stay.
server.keepAliveTimeout = 60_000
if (hub.role === 'web') hub.serve(server)
const io = hub.role === 'web' ? new Server(server, options) : new Server(options)
attachSocketIo(io, hub)

io.on('connection', (socket) => {
  socket.on('where', (answer) => answer(hub.id, socket.recovered))
  socket.on('enter', async (room, answer) => {
    await socket.join(room)
    // By hand there is no acknowledgement.
    if (typeof answer === 'function') answer()
    else socket.emit('entered', room)
  })
  socket.on('say', (room, ...args) => socket.to(room).emit('said', ...args))
})

hub.handle('emit', ({ room, args }) => {
  if (room === undefined) io.emit(...args)
  else io.to(room).emit(...args)
})
hub.handle('count', async (room) => {
  const found = await (room === undefined ? io : io.in(room)).fetchSockets()
  return { all: found.length, here: io.sockets.sockets.size }
})
hub.handle('open', async () => ({
  sessions: io.engine?.clientsCount ?? 0,
  connections: await new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count))),
}))
