import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'
import { logger } from './log.js'

/**
 * Starts a real SMTP server on a free port of loopback, so that the example sends real mail to nobody. It gives every
 * message an id and says so in its reply, as mail servers do; it refuses recipients at `refused.example`.
 */
export async function startMailServer(): Promise<string> {
  const log = logger('smtp server')
  const server = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    onRcptTo({ address }, _session, callback) {
      if (!address.endsWith('@refused.example')) return callback()
      callback(Object.assign(new Error(`no such user: ${address}`), { responseCode: 550 }))
    },
    onData(stream, session, callback) {
      stream.resume()
      stream.once('end', () => {
        const id = randomUUID()
        log(`accepted ${id} for ${session.envelope.rcptTo.map(({ address }) => address).join(', ')}`)
        callback(null, `queued as ${id}`)
      })
    },
  })
  server.on('error', (error) => log(error.message))
  const listener = server.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  // It shall not keep this process alive when the hub has stopped.
  listener.unref()
  return `smtp://127.0.0.1:${(listener.address() as AddressInfo).port}`
}
