import { joinHub } from 'hubwire'

// Ready by itself, one setImmediate after joinHub() has resolved: what is registered at once misses nothing.
const hub = await joinHub()
const got: unknown[] = []
hub.on('first', (n: number) => got.push(n))
await Promise.resolve()
hub.on('second', (n: number) => got.push(n))
hub.handle('got', () => got)
