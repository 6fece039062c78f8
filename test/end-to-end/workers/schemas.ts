import { joinHub } from 'hubwire'
import type { Seen, Shop } from '../schemas/shop.js'

const { SCHEMAS } = process.env
const hub = await joinHub<Shop>(SCHEMAS ? await import(`../schemas/${SCHEMAS}.js`) : {})
const seen: Pick<Seen, 'events' | 'any' | 'inputs'> = { events: [], any: [], inputs: [] }

hub.on('ordered', (...args) => seen.events.push(args))
hub.on('audited', (...args) => seen.events.push(args))
hub.onAny((event) => seen.any.push(event))
hub.handle('price', (item) => {
  seen.inputs.push(item)
  if (item.name.startsWith('riddle')) return { total: 'much' } as unknown as { total: number }
  return { total: item.quantity * 10 }
})
hub.handle('reserve', (name) => {
  seen.inputs.push(name)
  return name
})
hub.handle('ask', async ({ id, name }) => {
  try {
    const { total } = await hub.to(id).request('price', { name: name as string, quantity: 1 })
    return String(total)
  } catch (error) {
    return `${error}`
  }
})
hub.handle('tell', ({ id, order }) => {
  hub.to(id).emit('ordered', order as { id: number; customer: string })
})
hub.handle('seen', () => {
  const { refusedPayloads, tasksServed } = hub.stats()
  return { ...seen, refused: refusedPayloads, served: tasksServed }
})
