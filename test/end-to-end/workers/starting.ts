import { joinHub } from 'hubwire'

// Every process of this seat asks the primary for leave before it is ready, and registers what it is told only then: after
// an await, but before ready().
interface Orders {
  events: string[]
  tasks: string[]
}

const hub = await joinHub({ ready: 'manual' })
const got: unknown[] = []
hub.on('exit', () => process.exit(1))
const orders: Orders = await hub.to('primary').request('gate', hub.id)
for (const event of orders.events) hub.on(event, (...args: unknown[]) => got.push([event, ...args]))
for (const task of orders.tasks) {
  hub.handle(task, (input: unknown) => {
    got.push([task, input])
    return `${task} done`
  })
}
hub.handle('got', () => got)
hub.ready()
