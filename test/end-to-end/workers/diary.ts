// Keeps what the hub tells of the life of its members, with what was known of them at that moment.
import { joinHub } from 'hubwire'

const hub = await joinHub()
const diary: Record<string, unknown>[] = []
for (const event of ['join', 'leave', 'restart', 'give-up', 'hung', 'slow'] as const) {
  hub.lifecycle.on(event, (member: { id: string }, info?: object) => {
    diary.push({ event, ...member, ...info })
  })
}
hub.handle('diary', () => diary)
hub.on('item', () => {})
