/** Some of the clients, in a process beside the hub. */
import { Random } from '../fuzz/random.js'
import { Client } from './client.js'
import type { Kind, Pace, Session } from './history.js'

export interface Crowd {
  port: number
  seed: number
  pace: Pace
  /** Whether connections of clients that poll stay open, as in a browser. */
  keepsAlive: boolean
  /** Their numbers, by how they are connected. */
  numbers: Record<Kind, number[]>
}

export type Order = 'start' | 'rest' | 'state' | 'sessions' | 'leave'

export interface CrowdState {
  connected: number
  answered: number
}

/** So many connect at once. */
const BUNCH = 50

const crowd: Crowd = JSON.parse(process.argv[2] ?? '{}')
const random = new Random(crowd.seed)
const clients: Client[] = []
for (const [kind, numbers] of Object.entries(crowd.numbers) as [Kind, number[]][]) {
  for (const number of numbers) clients.push(new Client(crowd.port, number, kind, crowd.pace, random, crowd.keepsAlive))
}

async function open(): Promise<void> {
  for (let i = 0; i < clients.length; i += BUNCH) {
    await Promise.all(clients.slice(i, i + BUNCH).map((client) => client.open()))
  }
}

function obey(order: Order): CrowdState | Session[] | undefined {
  switch (order) {
    case 'start':
      for (const client of clients) client.start()
      return undefined
    case 'rest':
      for (const client of clients) client.rest()
      return undefined
    case 'state':
      return {
        connected: clients.filter(({ connected }) => connected).length,
        answered: clients.filter(({ answered }) => answered).length,
      }
    case 'sessions':
      return clients.flatMap(({ sessions }) => sessions)
    case 'leave':
      for (const client of clients) client.close()
      process.disconnect()
      return undefined
  }
}

process.on('message', ({ id, order }: { id: number; order: Order }) => process.send?.({ id, answer: obey(order) }))
// Who forked it is no more.
process.on('disconnect', () => process.exit())
await open()
process.send?.({ id: 0, answer: undefined })
