// Has listeners that fail, and sends too much.
import { joinHub } from 'hubwire'

export interface Mistakes {
  events: {
    throw: (message: string) => void
    reject: (message: string) => void
    large: (text: string) => void
  }
  tasks: {
    /** Emits, asks and answers with so many bytes; returns what the first two came to. */
    send: (bytes: number) => string[]
    large: (bytes: number) => string
    length: (text: string) => number
    /** Calls what only the primary's hub can do; returns what that came to. */
    lead: (verb: string) => string
  }
}

const hub = await joinHub<Mistakes>()
const tell = (message: object) => process.send?.(message)
if (process.env.CATCH) {
  process.on('uncaughtException', ({ message }, origin) => tell({ caught: message, origin }))
}
hub.on('throw', (message) => {
  throw new Error(message)
})
hub.on('throw', (message) => tell({ heard: message }))
// As users write them: what an event's listener returns is nobody's business.
hub.on('reject', async (message) => {
  throw new Error(message)
})
hub.on('reject', (message) => tell({ heard: message }))

const outcome = async (attempt: () => unknown) => {
  try {
    await attempt()
    return 'sent'
  } catch (error) {
    return `${(error as { code?: string }).code}: ${(error as Error).message}`
  }
}
hub.handle('send', async (bytes) => [
  await outcome(() => hub.to('primary').emit('large', 'x'.repeat(bytes))),
  await outcome(() => hub.to('primary').request('length', 'x'.repeat(bytes))),
])
hub.handle('large', (bytes) => 'x'.repeat(bytes))
hub.handle('lead', (verb) => outcome(() => (hub as unknown as Record<string, () => unknown>)[verb]?.()))
