// Starts as its environment says: well, badly, or not at all.
import { writeSync } from 'node:fs'
import { HubError, joinHub, startHub } from 'hubwire'
import { MARKER } from '#lib/wire/batch.js'
import { controlFrame } from '#lib/wire/frame.js'

const { START, VERSION, PROTOCOL } = process.env
/** What went wrong, to whoever forked this. */
const report = async (attempt: () => unknown) => {
  try {
    await attempt()
    process.send?.({ fine: true })
  } catch (error) {
    const { code, message } = error as HubError
    process.send?.({ hubError: error instanceof HubError, code, message })
  }
}

switch (START) {
  case 'exit':
    writeSync(2, 'one line\nno database\n')
    process.exit(7)
    break
  case 'throw':
    throw new Error('thrown on import')
  case 'reject':
    await joinHub()
    throw new Error('thrown after joining')
  case 'idle':
    process.channel?.ref()
    process.on('message', () => {})
    writeSync(2, 'I wait for something else\n')
    break
  case 'manual':
    await joinHub({ ready: 'manual' })
    writeSync(2, 'joined\n')
    break
  case 'done':
    process.exit(0)
    break
  case 'killed':
    process.kill(process.pid, 'SIGKILL')
    break
  case 'raw':
    process.on('message', (batch: string) => {
      const refusal = /"t":"refused","message":"(.*)"\}/.exec(batch)?.[1]
      if (refusal === undefined) return
      writeSync(2, `${refusal}\n`)
      process.exit(1)
    })
    process.send?.(
      MARKER +
        controlFrame(JSON.stringify({ t: 'hello', protocol: Number(PROTOCOL), version: VERSION })) +
        controlFrame('{"t":"ready"}'),
    )
    break
  case 'misuse': {
    await report(() => startHub())
    await report(() => joinHub({ redy: 'manual' } as object))
    await report(() => joinHub(null as unknown as object))
    await report(() => joinHub({ ready: 'soon' as 'auto' }))
    const hub = await joinHub()
    await report(() => joinHub())
    await report(() => hub.handle('work', () => 1, { concurency: 2 } as object))
    await report(() => hub.handle('work', () => 1, { concurrency: 0 }))
    await report(() => hub.handle('work', 'no function' as unknown as () => void))
    hub.handle('work', () => 1)
    await report(() => hub.handle('work', () => 1))
    hub.handle('close', () => {
      setImmediate(async () => {
        await hub.close()
        await report(() => hub.emit('late'))
        await report(() => hub.delegate('late'))
        await report(() => joinHub())
      })
    })
    break
  }
  case 'foreign-bigint':
    Object.assign(BigInt.prototype, { toJSON: String })
    await report(() => joinHub())
    process.disconnect?.()
    break
  case 'foreign-start':
    await report(() => startHub())
    process.disconnect?.()
    break
  case 'foreign':
    await report(() => joinHub())
    process.disconnect?.()
    break
  default: {
    const hub = await joinHub()
    hub.handle('who', () => ({ id: hub.id, pid: process.pid, env: process.env.GIVEN, args: process.argv.slice(2) }))
  }
}
