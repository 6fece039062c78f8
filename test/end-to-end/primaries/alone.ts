// A hub without workers that uses all of it, closes, and has nothing left to keep it alive.
import { startHub } from 'hubwire'

const hub = await startHub({ workers: [] })
const heard = new Promise<void>((resolve) => hub.once('news', () => resolve()))
hub.emit('news')
await heard
hub.handle('double', (n: number) => n * 2)
console.log(await hub.delegate('double', 21))
await hub.close()
console.log('closed')
