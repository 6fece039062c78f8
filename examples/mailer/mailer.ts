/** The dedicated worker with the id 101: the only process that knows how to send mail. */
import { joinHub } from 'hubwire'
import { createTransport } from 'nodemailer'
import type { Mail, Shop } from './contract.js'
import { logger } from './log.js'

const transport = createTransport(process.env.SMTP_URL, { from: 'shop@shop.example' })

const hub = await joinHub<Shop>()
const log = logger(hub.id)

// Mail servers bear only so many connections at once; what exceeds them waits in the hub.
hub.handle('email.send', (mail, { from }) => send(mail, from.id), { concurrency: 8 })

async function send(mail: Mail, from: string): Promise<{ messageId: string }> {
  const { response } = await transport.sendMail(mail)
  // The id is the one that the mail server gave, so that its log can be searched for it: '250 queued as 3c8f…'.
  const messageId = /queued as (\S+)/.exec(response)?.[1] ?? response
  log(`sent the mail to ${mail.to}, asked by ${from}`)
  return { messageId }
}
