/**
 * A chat on four web workers, and a dedicated worker that keeps its messages. `npm start` runs it.
 *
 * `PORT` chooses the port (3000). It listens on this machine only: anybody may log in, deploy, and end a
 * worker. `HOST=0.0.0.0` lets in a phone in the same network.
 */
import { randomBytes } from 'node:crypto'
import { startHub } from 'hubwire'
import type { Chat } from './contract.js'
import { serveDeploys } from './deploy.js'
import { ReleaseFile } from './release.js'

const port = Number(process.env.PORT ?? 3000)
const host = process.env.HOST ?? '127.0.0.1'

const log = (text: string) => console.log(`primary  ${text}`)

try {
  const releases = new ReleaseFile()
  const hub = await startHub<Chat>({
    // There is a button that crashes workers, and it is there to be pressed.
    intensity: { restarts: 1000, period: 60_000 },
    backoff: { min: 500, max: 2000 },
    workers: [
      { id: 'keeper', exec: new URL('./keeper.js', import.meta.url) },
      {
        role: 'web',
        count: 4,
        exec: new URL('./web.js', import.meta.url),
        // Every worker can check what another one has signed. Tokens end with this process.
        env: { CHAT_SECRET: randomBytes(32).toString('base64url'), CHAT_RELEASE: releases.path },
      },
    ],
  })
  for (const { id, pid } of hub.members) log(`${id} is pid ${pid}`)
  hub.lifecycle.on('leave', ({ id, pid }, { code, signal }) => log(`${id}, pid ${pid}, ended: ${signal ?? code}`))
  hub.lifecycle.on('restart', ({ id }, { delay }) => log(`${id} comes back in ${Math.round(delay)} ms`))
  hub.lifecycle.on('join', ({ id, pid }) => id !== hub.id && log(`${id} is pid ${pid}`))
  // From then on the new process is the worker.
  hub.lifecycle.on('reload', ({ id, pid }, { phase }) => phase === 'draining' && log(`${id} is pid ${pid}`))
  serveDeploys(hub, releases, log)

  const listening = await hub.listen({ port, host, role: 'web' })
  const url = `http://localhost:${listening.address().port}`
  log(`listening on ${url}. Open it in two windows, log in under two names, and try:

  curl ${url}/publish -H 'content-type: application/json' -d '{"from":"curl","text":"Hello from a shell"}'

Ctrl-C ends it all.
`)
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException
  console.error(code === 'EADDRINUSE' ? `Port ${port} is taken. Choose another: PORT=3001 npm start` : message)
  process.exit(1)
}
