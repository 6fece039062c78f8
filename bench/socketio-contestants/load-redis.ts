import type { Server } from 'socket.io'

/** What of ioredis is used here. */
interface Client {
  ping(): Promise<string>
  disconnect(): void
  on(event: 'error', listener: (error: Error) => void): unknown
}

type Adapter = Parameters<Server['adapter']>[0]

export interface Redis {
  createAdapter(publisher: Client, subscriber: Client): Adapter
  connect(): Client
}

const URL = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'

/** The packages are no dependencies of Hubwire: who wants to compare installs them. Their types are not here either. */
export async function loadRedis(): Promise<Redis> {
  const load = async (name: string) => (await import(name)) as Record<string, unknown>
  const { createAdapter } = (await load('@socket.io/redis-adapter')) as Pick<Redis, 'createAdapter'>
  const { Redis } = (await load('ioredis')) as { Redis: new (url: string, options: object) => Client }
  return { createAdapter, connect: () => new Redis(URL, { maxRetriesPerRequest: 1 }) }
}

/** Why the Redis adapter cannot take part; undefined if it can. */
export async function whyNoRedis(): Promise<string | undefined> {
  let client: Client | undefined
  try {
    client = (await loadRedis()).connect()
    client.on('error', () => {})
    await client.ping()
    return undefined
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return code === 'ERR_MODULE_NOT_FOUND'
      ? '@socket.io/redis-adapter and ioredis are not installed'
      : `no Redis answers at ${URL}: ${message}`
  } finally {
    client?.disconnect()
  }
}
