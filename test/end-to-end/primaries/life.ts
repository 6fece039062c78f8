// A whole application: starts what its environment says, tells its parent, and does what that asks for.
import { startHub } from 'hubwire'

const { WORKERS = '[]', OPTIONS = '{}', LISTEN_TO, EXIT_CODE } = process.env
if (EXIT_CODE) process.exitCode = Number(EXIT_CODE)
const tell = (message: object) => process.send?.(message)
const exec = new URL('../workers/life.js', import.meta.url)

tell({ pid: process.pid })
const hub = await startHub({
  workers: JSON.parse(WORKERS).map((spec: object) => ({ exec, ...spec })),
  backoff: { min: 1, max: 2 },
  ...JSON.parse(OPTIONS),
})
if (LISTEN_TO) hub.lifecycle.on(LISTEN_TO as 'give-up', (member) => tell({ [LISTEN_TO]: member.id }))
hub.on('stopping', (id: string) => tell({ stopping: id }))
process.on('message', async ({ id, task, input }: { id: string; task: string; input: unknown }) => {
  try {
    tell({ [task]: await hub.to(id).request(task, input) })
  } catch (error) {
    tell({ [task]: (error as { code?: string }).code })
  }
})
// What waits for messages must not keep alive what has nothing else to do.
process.channel?.unref()
tell({ ready: hub.members.map(({ pid }) => pid) })
