import { joinHub } from 'hubwire'

// Says by its exit code how many events had arrived when it was stopped.
const hub = await joinHub({ onStop: (own) => void own.to('primary').emit('total', total) })
let count = 0
let total = 0
hub.on('much', () => total++)
hub.on('last', (n: number) => {
  count += n
  process.exitCode = count
})
hub.handle('answer', async (n: number) => {
  await new Promise((resolve) => setTimeout(resolve, 20))
  return n
})
hub.handle('large', (length: number) => 'x'.repeat(length))
const farewell = (text: string) => {
  for (let n = 0; n < 1000; n++) hub.to('primary').emit('farewell', n, text)
}
hub.handle('farewell', farewell)
hub.handle('leave', async (text: string) => {
  farewell(text)
  // After this answer, but with all that was sent.
  setImmediate(() => hub.close())
})
