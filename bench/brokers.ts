/** Where the servers are that Hubwire is compared with, and whether they are there. */
import amqp from 'amqplib'
import { Redis } from 'ioredis'
import { connect as connectNats } from 'nats'
import pg from 'pg'

export const REDIS_URL = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'
export const NATS_URL = process.env.NATS_URL ?? 'nats://127.0.0.1:4222'
export const AMQP_URL = process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672'
export const POSTGRES_URL = process.env.POSTGRES_URL ?? 'postgres://postgres@127.0.0.1:5432/test'

/** A server, by the name that contestants know it by, and how to see whether it answers. */
const PROBES = {
  redis: {
    url: REDIS_URL,
    async probe() {
      const client = new Redis(REDIS_URL, { maxRetriesPerRequest: 1, retryStrategy: () => null })
      client.on('error', () => {})
      const info = await client.info('server').finally(() => client.disconnect())
      return /redis_version:(\S+)/.exec(info)?.[1]
    },
  },
  nats: {
    url: NATS_URL,
    async probe() {
      const connection = await connectNats({ servers: NATS_URL, reconnect: false, timeout: 2000 })
      // Once it is closed, it is forgotten.
      const version = connection.info?.version
      await connection.close()
      return version
    },
  },
  rabbitmq: {
    url: AMQP_URL,
    async probe() {
      const connection = await amqp.connect(AMQP_URL)
      await connection.close()
      return connection.connection.serverProperties.version
    },
  },
  postgres: {
    url: POSTGRES_URL,
    async probe() {
      const client = new pg.Client({ connectionString: POSTGRES_URL, connectionTimeoutMillis: 2000 })
      try {
        await client.connect()
        const { rows } = await client.query('SHOW server_version')
        return rows[0]?.server_version as string
      } finally {
        await client.end()
      }
    },
  },
}
export type Broker = keyof typeof PROBES

/** A server that answers, or why it cannot take part. */
export async function find(broker: Broker): Promise<{ version: string } | { why: string }> {
  const { url, probe } = PROBES[broker]
  try {
    return { version: (await probe()) ?? 'unknown' }
  } catch (error) {
    // Where a name has several addresses, each has failed in its own way.
    const { message, code } = error as NodeJS.ErrnoException
    return { why: `no ${broker} server answers at ${url.replace(/\/\/.*@/, '//')}: ${message || code}` }
  }
}
