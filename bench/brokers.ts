/** Where the servers are that Hubwire is compared with, and whether they are there. */

import { Redis } from 'ioredis'
import { connect as connectNats } from 'nats'

export const REDIS_URL = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'
export const NATS_URL = process.env.NATS_URL ?? 'nats://127.0.0.1:4222'

/** Why Redis cannot take part; undefined if it can. */
export async function whyNoRedis(): Promise<string | undefined> {
  const client = new Redis(REDIS_URL, { maxRetriesPerRequest: 1, retryStrategy: () => null })
  client.on('error', () => {})
  try {
    await client.ping()
    return undefined
  } catch (error) {
    return `no Redis answers at ${REDIS_URL}: ${(error as Error).message}`
  } finally {
    client.disconnect()
  }
}

/** Why NATS cannot take part; undefined if it can. */
export async function whyNoNats(): Promise<string | undefined> {
  try {
    await (await connectNats({ servers: NATS_URL, reconnect: false, timeout: 2000 })).close()
    return undefined
  } catch (error) {
    return `no NATS server answers at ${NATS_URL}: ${(error as Error).message}`
  }
}
