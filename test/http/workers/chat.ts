import type { IncomingMessage, ServerResponse } from 'node:http'
import { joinHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { createApp } from '../app.js'

export interface Chat {
  tasks: {
    /** Engine.io sessions, and HTTP connections, that are open. */
    open: () => { sessions: number; connections: number }
    /** The remote end of the last request of each session, as the worker saw it, and the headers that it has. */
    remotes: () => Record<string, string>
    /** What this worker warned of. */
    warnings: () => string[]
  }
}

const hub = await joinHub<Chat>()
const server = createApp(() => hub.id)
// The echo server of the app would answer every upgrade.
server.removeAllListeners('upgrade')
if (process.env.JUDGE) {
  // It decides itself whether a body may come.
  server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
    res.writeContinue()
    server.emit('request', req, res)
  })
}
hub.serve(server)
const io = new Server(server, { maxHttpBufferSize: 3e6 })
attachSocketIo(io, hub)
const remotes: Record<string, string> = {}
io.engine.use((req: IncomingMessage, res: ServerResponse, next: () => void) => {
  if (req.headers['x-half'] !== undefined) {
    res.writeHead(200, { 'Content-Length': '8' }).write('half')
    return
  }
  const sid = /sid=([^&]+)/.exec(req.url ?? '')?.[1]
  if (sid) {
    const { remoteAddress, remotePort, remoteFamily } = req.socket
    remotes[sid] = `${remoteAddress} ${remotePort} ${remoteFamily} ${req.headers['x-hubwire-forwarded'] ?? 'clean'}`
  }
  next()
})
io.on('connection', (socket) => {
  socket.on('echo', (value, acknowledge) => {
    if (typeof acknowledge === 'function') acknowledge({ value, id: hub.id })
    else socket.emit('echo', value)
  })
})
hub.handle('open', async () => ({
  sessions: io.engine.clientsCount,
  connections: await new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count))),
}))
hub.handle('remotes', () => remotes)
const warnings: string[] = []
process.on('warning', ({ message }) => warnings.push(message))
hub.handle('warnings', () => warnings)
