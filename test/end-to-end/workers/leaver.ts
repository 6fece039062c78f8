import { joinHub } from 'hubwire'

// Something of the application's own that keeps the process alive.
setInterval(() => {}, 60_000)
const hub = await joinHub()
hub.on('load', () => {})
hub.handle('echo', (value) => value)
hub.handle('hang', () => new Promise(() => {}), { concurrency: 1 })
hub.handle('slowly', () => new Promise((resolve) => setTimeout(resolve, 300, 'done')))
hub.handle('leave', () => {
  setImmediate(() => hub.close())
})
