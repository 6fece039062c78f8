import { joinHub } from 'hubwire'

// Says a lot in one turn, closes and ends.
const hub = await joinHub()
hub.on('go', async (count: number) => {
  // More than the channel takes at once.
  for (let i = 0; i < count; i++) hub.to('primary').emit('said', i, 'x'.repeat(300))
  await hub.close()
  process.exit(0)
})
