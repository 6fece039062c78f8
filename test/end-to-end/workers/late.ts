import { joinHub } from 'hubwire'

// Is ready only when the primary lets it: a member may ask before it may be asked.
const hub = await joinHub({ ready: 'manual' })
hub.handle('who', () => hub.id)
await hub.to('primary').request('may I')
hub.ready()
