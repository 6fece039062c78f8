import { joinHub } from 'hubwire'

// Says a lot in one turn, closes and ends.
const hub = await joinHub()
hub.on('go', async (count: number) => {
  for (let i = 0; i < count; i++) hub.to('primary').emit('said', i)
  await hub.close()
  process.exit(0)
})
