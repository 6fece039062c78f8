/**
 * The entry file of main.ts as a CommonJS module: Node.js loads Hubwire, an ES module, with a plain `require`. The
 * workers stay as they are; `npm run build:all` has compiled them.
 *
 *   node examples/mailer/main.cjs
 */
const cluster = require('node:cluster')
const { once } = require('node:events')
const path = require('node:path')
const { startHub } = require('hubwire')

const built = path.join(__dirname, '../../build/examples/mailer')
const { logger } = require(path.join(built, 'log.js'))
const { startMailServer } = require(path.join(built, 'mail-server.js'))

const log = logger('primary')

async function main() {
  const listening = once(cluster, 'listening')
  const SMTP_URL = process.env.SMTP_URL ?? (await startMailServer())

  const hub = await startHub({
    workers: [
      { role: 'web', count: 2, exec: path.join(built, 'web.js') },
      { id: 101, exec: path.join(built, 'mailer.js'), env: { SMTP_URL } },
    ],
  })
  hub.lifecycle.on('leave', ({ id, pid }, { code, signal }) => log(`${id}, pid ${pid}, ended: ${signal ?? code}`))
  for (const { id, pid } of hub.members) log(`${id} is pid ${pid}`)
  const [, { port }] = await listening
  log(`listening on http://localhost:${port}, mail goes to ${SMTP_URL}`)
}

main().catch((error) => {
  console.error(error.message)
  process.exit(1)
})
