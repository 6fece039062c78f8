// A Socket.IO server as the official packages make it, beside the hub.
import { createServer } from 'node:http'
import { createAdapter } from '@socket.io/cluster-adapter'
import { setupWorker } from '@socket.io/sticky'
import { joinHub } from 'hubwire'
import { Server } from 'socket.io'

const hub = await joinHub()
const io = new Server(createServer())
io.adapter(createAdapter())
setupWorker(io)
io.on('connection', (socket) => {
  socket.emit('served by', hub.id)
  socket.on('relay', async (text: string, done: (answer: unknown) => void) => {
    done(await hub.to(hub.id === 'web-1' ? 'web-2' : 'web-1').request('shout', text))
  })
})
hub.handle('shout', (text: string) => text.toUpperCase())
hub.handle('announce', (text: string) => {
  io.emit('announcement', text)
})
hub.handle('sockets', async () => (await io.fetchSockets()).length)
