import { joinHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { createApp } from '../app.js'

export interface Web {
  tasks: {
    act: (what: 'attach' | 'closeIdle' | 'closeAll' | 'close' | 'block') => string
    open: () => number
    warnings: () => string[]
  }
}

const warnings: string[] = []
process.on('warning', ({ message }) => warnings.push(message))

const hub = await joinHub<Web>({ ready: process.env.READY === 'manual' ? 'manual' : 'auto' })
const server = createApp(() => hub.id, JSON.parse(process.env.SERVER ?? '{}'))
if (process.env.MAX_CONNECTIONS) server.maxConnections = Number(process.env.MAX_CONNECTIONS)
if (process.env.SERVE !== 'no') hub.serve(server)
// Before anybody has been told that it serves.
if (process.env.DIE === 'serving') process.kill(process.pid, 'SIGKILL')
// The primary looks for sessions only where there are any.
if (process.env.SESSIONS !== 'no') attachSocketIo(new Server(), hub)
hub.handle('act', async (what) => {
  switch (what) {
    case 'attach':
      attachSocketIo(new Server(), hub)
      break
    case 'closeIdle':
      server.closeIdleConnections()
      break
    case 'closeAll':
      server.closeAllConnections()
      break
    case 'close':
      await new Promise((resolve) => server.close(resolve))
      break
    case 'block': {
      const end = Date.now() + 2500
      while (Date.now() < end);
    }
  }
  return String(server.listening)
})
hub.handle('open', () => new Promise((resolve) => server.getConnections((_, count) => resolve(count))))
hub.handle('warnings', () => warnings)
