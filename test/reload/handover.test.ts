import assert from 'node:assert/strict'
import type { PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import { App, linksOf, memberOf, until, withApp } from './app.js'

/** Tells the primary of each step of a handover. `steps` finds `add`. */
const holds = (steps: string) => `
  import { memberOf } from ${JSON.stringify(import.meta.resolve('#lib/internal.js'))}
  const tell = (...what) => hub.to('primary').emit('step', hub.id, ...what)
  const add = (step) => memberOf(hub, 'test').handoverSteps.add(step)
  const aborted = (signal) => new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', resolve)
  })
  hub.handle('ping', () => 'pong')
  ${steps}`

type Step = [id: string, what: string, ...more: unknown[]]

function withSteps(
  steps: string,
  options: object,
  run: (hub: PrimaryHub, told: Step[], app: App) => Promise<void>,
): Promise<void> {
  const app = new App(holds(steps))
  return withApp(app, { workers: [{ role: 'web', count: 1, exec: app.exec, ...options }] }, async (hub) => {
    const told: Step[] = []
    hub.on('step', (...step: Step) => told.push(step))
    await run(hub, told, app)
  })
}

test('before it ends, the old process runs the steps side by side; one that fails or waits keeps none from theirs', async () => {
  const steps = `
    let go = () => {}
    const last = new Promise((resolve) => { go = resolve })
    add(async ({ successor: { id, incarnation } }) => {
      tell('first', id, incarnation)
      await last
      // It takes part in the hub as long as it lives.
      tell('asked', await hub.to(id).request('ping'))
    })
    add(() => { throw new Error('on purpose') })
    add(() => { tell('taken back') })()
    add(({ signal }) => {
      tell('last', signal.aborted)
      go()
    })`
  await withSteps(steps, {}, async (hub, told) => {
    await hub.reload()
    await hub.drained()
    assert.deepEqual(told, [
      ['web-1', 'first', 'web-1', 2],
      ['web-1', 'last', false],
      ['web-1', 'asked', 'pong'],
    ])
  })
})

test('when a role shrinks, another worker of it is the successor; where there is none, there are no steps', async () => {
  const steps = `add(({ successor }) => tell('to', successor.id, successor.incarnation))`
  await withSteps(steps, { count: 3 }, async (hub, told) => {
    await hub.scale('web', 1)
    await hub.drained()
    assert.deepEqual(told.sort(), [
      ['web-2', 'to', 'web-1', 1],
      ['web-3', 'to', 'web-1', 1],
    ])
    await hub.scale('web', 0)
    await hub.drained()
    assert.equal(told.length, 2)
  })
})

const waits = `add(async ({ signal }) => {
    tell('begun')
    await aborted(signal)
    tell('aborted')
    await new Promise(() => {})
  })`

test('after handoverTimeout the steps under way are waited for no longer', async () => {
  await withSteps(waits, { handoverTimeout: 200 }, async (hub, told) => {
    await hub.reload()
    await hub.drained()
    assert.deepEqual(
      told.map(([, what]) => what),
      ['begun', 'aborted'],
    )
  })
})

const begun = (told: Step[]) => until(() => told.length === 1, 'the handover has begun')
const ends = (told: Step[]) => assert.deepEqual(told.map(([, what]) => what).slice(0, 2), ['begun', 'aborted'])

for (const [how, end] of [
  ['is killed', (pid: number) => process.kill(pid, 'SIGKILL')],
  ['leaves', (pid: number) => process.kill(pid, 'SIGUSR2')],
] as const) {
  test(`when the successor ${how}, the handover ends`, async () => {
    await withSteps(
      `process.once('SIGUSR2', () => hub.close())\n${waits}`,
      { handoverTimeout: 60_000 },
      async (hub, told) => {
        const reload = hub.reload()
        await begun(told)
        end(memberOf(hub, 'web-1').pid as number)
        await reload
        ends(told)
      },
    )
  })
}

test('and when all of it is to be stopped', async () => {
  await withSteps(waits, { handoverTimeout: 60_000, gracePeriod: 60_000 }, async (hub, told) => {
    const reload = hub.reload()
    await begun(told)
    await hub.stop('web-1')
    await reload
    ends(told)
    assert.equal(linksOf(hub, 'web-1').length, 1)
  })
  await withSteps(waits, { handoverTimeout: 60_000, gracePeriod: 60_000 }, async (hub, told) => {
    // What it was for is done, though not in peace.
    const reload = Promise.allSettled([hub.reload()])
    await begun(told)
    await hub.close()
    await reload
    ends(told)
  })
})

test.run()
