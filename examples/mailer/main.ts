/**
 * A small shop: two web workers take orders, and one dedicated worker sends the mails. `npm run start:mailer` runs it.
 *
 * `PORT` chooses the port (3000), `SMTP_URL` another mail server than the one that is started here.
 */
import cluster from 'node:cluster'
import { once } from 'node:events'
import { startHub } from 'hubwire'
import type { Shop } from './contract.js'
import { logger } from './log.js'
import { startMailServer } from './mail-server.js'

const log = logger('primary')

// What the web workers listen on: with PORT=0 the system chooses.
const listening = once(cluster, 'listening')
const SMTP_URL = process.env.SMTP_URL ?? (await startMailServer())

try {
  const hub = await startHub<Shop>({
    workers: [
      { role: 'web', count: 2, exec: new URL('./web.js', import.meta.url) },
      { id: 101, exec: new URL('./mailer.js', import.meta.url), env: { SMTP_URL } },
    ],
  })
  hub.lifecycle.on('leave', ({ id, pid }, { code, signal }) => log(`${id}, pid ${pid}, ended: ${signal ?? code}`))
  for (const { id, pid } of hub.members) log(`${id} is pid ${pid}`)
} catch (error) {
  console.error((error as Error).message)
  process.exit(1)
}

const [, { port }] = await listening
const url = `http://localhost:${port}`
log(`listening on ${url}, mail goes to ${SMTP_URL}. Try:

  curl ${url}/orders -d '{"email":"you@shop.example","items":[{"name":"tea","quantity":2}]}'
  curl ${url}/orders -d '{"email":"nobody@refused.example","items":[{"name":"tea","quantity":2}]}'
  curl ${url}/orders -d '{"email":"you"}'

Ctrl-C ends it all.
`)
