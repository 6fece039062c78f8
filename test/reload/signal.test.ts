import assert from 'node:assert/strict'
import { test } from 'uvu'
import { PrimaryProcess } from '../end-to-end/conditions.js'
import { App, alive, until } from './app.js'

test('SIGHUP reloads all workers, also when the whole process group gets it; one that fails is told of', async () => {
  const app = new App('')
  const primary = new PrimaryProcess('hangup', { EXEC: app.exec })
  try {
    const { ready } = await primary.told('ready')
    primary.signalGroup('SIGHUP')
    const done = () => primary.messages.flatMap((message) => message.done ?? [])
    await until(() => done().length === 2, 'both are reloaded')
    assert.deepEqual(done(), ['web-1/2', 'web-2/2'])
    const [hub, ...workers] = ready as number[]
    assert.deepEqual([alive(hub), ...workers.map(alive)], [true, false, false])

    app.writeAll('process.exit(6)')
    primary.child.kill('SIGHUP')
    const { warning } = await primary.told('warning')
    assert.match(warning as string, /^SIGHUP: hub\.reload\(\) stopped at "web-1", which keeps its old process/)
    assert.ok(!primary.messages.some((message) => 'leave' in message))

    primary.child.kill('SIGTERM')
    assert.deepEqual(await primary.ended, [0, null])
  } finally {
    primary.end()
    app.remove()
  }
})

test.run()
