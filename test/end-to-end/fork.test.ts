import { HubError, startHub } from 'hubwire'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

const exec = new URL('./workers/crash.js', import.meta.url)

async function failure(attempt: Promise<unknown>): Promise<HubError> {
  try {
    await attempt
  } catch (error) {
    assert.instance(error, HubError)
    return error as HubError
  }
  throw new Error('it did not fail')
}

test('a fork that fails says why, and has left nothing behind when it rejects', async () => {
  const hub = await startHub({ signals: false })
  try {
    const error = await failure(hub.fork({ id: 'crash', exec }))
    assert.is(error.code, 'ERR_HUB_MEMBER_EXITED')
    assert.match(error.message, /Worker "crash".* exited with code 7 .*no database/s)
    assert.equal(
      hub.members.map(({ id }) => id),
      ['primary'],
    )
    assert.is((await failure(hub.to('crash').request('any'))).code, 'ERR_HUB_NO_MEMBER')
    assert.is((await failure(hub.fork({ id: 'crash', exec }))).code, 'ERR_HUB_MEMBER_EXITED', 'the id is free again')
  } finally {
    await hub.close()
  }
})

test.run()
