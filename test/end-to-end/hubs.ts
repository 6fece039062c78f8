import assert from 'node:assert/strict'
import { type HubOptions, type PrimaryHub, startHub, type WorkerSpec } from 'hubwire'
import { TRANSPORT, until } from '../conditions.js'
import { carryOut, type Order, type Outcome, serve } from './workers/library.js'

export { failure as rejection, until } from '../conditions.js'

const SERVER = new URL('./workers/server.js', import.meta.url)

/** A worker that serves these tasks of the library, which are also those that it makes calls with. */
export function server(id: string, tasks: readonly string[] = [], more: object = {}): WorkerSpec {
  return { id, exec: SERVER, args: ['call', ...tasks], ...more }
}

/** A member of either kind that makes the same calls; the worker must be among the workers. */
export const CALLERS = ['primary', 'caller']
/** A seat that comes back only when it is told to: `hub.restart` does not wait for the backoff. */
export const DOWN = { backoff: { min: 600_000, max: 600_000 } }

export interface Diary {
  begun: { id: string; key: unknown; from?: string }[]
  aborted: { id: string; key: unknown; reason?: string }[]
}

/** Starts a hub whose primary is one of the members, too, and closes it whatever happens. */
export async function withHub(
  options: HubOptions,
  run: (hub: PrimaryHub, diary: Diary) => Promise<void>,
  tasks: readonly string[] = [],
): Promise<void> {
  const hub = await startHub({
    signals: false,
    gracePeriod: 2000,
    backoff: { min: 1, max: 10 },
    ...TRANSPORT,
    ...options,
  })
  try {
    const diary: Diary = { begun: [], aborted: [] }
    hub.on('begun', (entry) => diary.begun.push(entry))
    hub.on('aborted', (entry) => diary.aborted.push(entry))
    serve(hub, tasks)
    await until(() => state(hub, 'primary') === 'ready', 'the primary is ready')
    await run(hub, diary)
    assert.equal(hub.stats().pendingCalls, 0, 'no call is left without an answer')
    for (const { id, queuedTasks, protocolErrors } of hub.stats().links ?? []) {
      assert.deepEqual([queuedTasks, protocolErrors], [0, 0], `${id}: nothing queued, nothing forged`)
    }
  } catch (error) {
    // What the test did not come to await shall not hide why.
    process.on('unhandledRejection', () => {})
    throw error
  } finally {
    await hub.close()
  }
}

export const state = (hub: PrimaryHub, id: string) => hub.members.find((member) => member.id === id)?.state

export const link = (hub: PrimaryHub, id: string) => {
  const found = hub.stats().links?.find((one) => one.id === id)
  assert.ok(found, id)
  return found
}

/** Has a member make a call: `'primary'`, or a worker made by `server`. */
export function have(hub: PrimaryHub, caller: string, order: Order): Promise<Outcome> {
  if (caller === 'primary') return carryOut(hub, order)
  return hub.to(caller).timeout(Number.POSITIVE_INFINITY).request('call', order)
}

/** A promise that was not settled when everything that is under way had its turn. */
export async function isPending(promise: Promise<unknown>, hub: PrimaryHub): Promise<boolean> {
  let pending = true
  promise.then(
    () => {
      pending = false
    },
    () => {
      pending = false
    },
  )
  // There and back: what the hub had to say before has arrived.
  await hub.drained()
  return pending
}

export function expectRefusal({ error }: Outcome, code: string, message: RegExp): void {
  assert.ok(error, `${code} expected`)
  assert.equal(error.code, code, error.message)
  assert.ok(error.hub, 'a HubError')
  assert.match(error.message, message)
}
