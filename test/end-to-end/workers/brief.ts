import { joinHub } from 'hubwire'

// Something of the application's own that keeps the process alive.
setInterval(() => {}, 60_000)
const hub = await joinHub({ ready: 'manual' })
hub.ready()
hub.close()
