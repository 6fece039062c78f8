// A primary that reloads at SIGHUP: tells its parent how that goes.
import { startHub } from 'hubwire'

const tell = (message: object) => process.send?.(message)
const hub = await startHub({ workers: [{ role: 'web', count: 2, exec: process.env.EXEC as string }] })
hub.lifecycle.on('reload', ({ id, incarnation }, { phase }) => tell({ [phase]: `${id}/${incarnation}` }))
process.on('warning', ({ message }) => tell({ warning: message }))
process.channel?.unref()
tell({ ready: hub.members.map(({ pid }) => pid) })
