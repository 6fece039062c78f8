/**
 * In the primary: when somebody presses the button, the next release is put in place, and all workers are exchanged for
 * processes that read it. What happens is told to all tabs, wherever they are at that moment.
 */
import type { PrimaryHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import type { Chat, Deploy, FromPage, ToPage } from './contract.js'
import type { ReleaseFile } from './release.js'

export function serveDeploys(hub: PrimaryHub<Chat>, releases: ReleaseFile, log: (text: string) => void): void {
  const io = attachSocketIo(new Server<FromPage, ToPage>(), hub)
  let current: Deploy | undefined

  const tell = (news: Partial<Deploy>) => {
    if (!current) return
    current = { ...current, ...news }
    io.emit('deploy', current)
  }

  hub.lifecycle.on('reload', ({ id }, { phase, done, total }) => {
    if (phase === 'starting' || phase === 'draining') tell({ worker: id, phase, done, total })
    else if (phase === 'done') tell({ worker: undefined, phase: undefined, done, total })
  })

  hub.on('deploy', async (by) => {
    // Who presses it meanwhile has what was asked for: this one.
    if (current) return
    const release = releases.next()
    current = { release, by, state: 'running', done: 0, total: hub.members.length - 1 }
    log(`${by} deploys release ${release}`)
    tell({})
    try {
      await hub.reload()
      tell({ state: 'done' })
      log(`release ${release} is deployed`)
    } catch (error) {
      const { message } = error as Error
      tell({ state: 'failed', reason: message })
      log(`release ${release} is not deployed: ${message}`)
    }
    current = undefined
  })
}
