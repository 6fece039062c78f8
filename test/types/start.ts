// Compiled, never run: startHub and joinHub, their options, errors and the rest of what users import.
import {
  type Contract,
  type EventArgs,
  type EventName,
  type Hub,
  HubError,
  type HubErrorCode,
  type HubOptions,
  isHubMessage,
  type JoinOptions,
  joinHub,
  type PrimaryHub,
  type RoleSpec,
  type SeatSpec,
  startHub,
  type TaskInput,
  type TaskName,
  type TaskOutput,
  type UntypedContract,
  type WorkerHub,
  type WorkerSpec,
} from 'hubwire'
import { z } from 'zod'
import type { App, Mail, TypedApp } from './app.js'
import { type Equal, expectType, the } from './assert.js'

// What they return.
const started = startHub<App>()
expectType<Equal<typeof started, Promise<PrimaryHub<App>>>>()
const joined = joinHub<App>()
expectType<Equal<typeof joined, Promise<WorkerHub<App>>>>()
const untyped = startHub({ workers: [] })
expectType<Equal<typeof untyped, Promise<PrimaryHub<UntypedContract>>>>()
const worker = joinHub({})
expectType<Equal<typeof worker, Promise<WorkerHub<UntypedContract>>>>()
startHub<TypedApp>()
startHub<{ events: { a: () => void } }>()
startHub<{ tasks: { a: () => void } }>()
// @ts-expect-error a contract has events and tasks
startHub<{ events: string }>()

// The options of startHub.
startHub<App>({
  workers: [
    { role: 'web', count: 4, exec: new URL('file:///web.js') },
    { id: 'mailer', exec: './mailer.js', env: { SMTP_URL: 'smtp://localhost' }, hungAfter: 5000 },
    { id: 101, role: 'reports' },
  ],
  timeout: Number.POSITIVE_INFINITY,
  highWaterMark: 1,
  maxQueueBytes: 1,
  maxHeldBytes: 1,
  maxQueuedTasks: 1,
  maxPendingCalls: 1,
  recovery: { maxBytes: 1, maxPackets: 1, maxSessions: 1 },
  slowAfter: 1,
  signals: false,
  ready: 'manual',
  restart: 'on-failure',
  intensity: { restarts: 1, period: 1000 },
  backoff: { min: 1, max: 1 },
  hungAfter: 1000,
  readyTimeout: 1000,
  gracePeriod: 0,
  handoverTimeout: 0,
  stderr: 'inherit',
  transport: 'pipe',
})
// @ts-expect-error no such option
startHub({ worker: [] })
// @ts-expect-error a number
startHub({ maxPendingCalls: 'many' })
// @ts-expect-error no such bound
startHub({ recovery: { maxTime: 1 } })
// @ts-expect-error no such option
startHub({ workers: [{ id: 'a', retries: 1 }] })
// @ts-expect-error not a list
startHub({ workers: { id: 'a' } })
// @ts-expect-error neither id nor role
startHub({ workers: [{}] })
// @ts-expect-error neither id nor role
startHub({ workers: [{ count: 2 }] })
// @ts-expect-error an id is for one worker
startHub({ workers: [{ id: 'a', count: 2 }] })
// @ts-expect-error an id is for one worker, in a role, too
startHub({ workers: [{ id: 'a', role: 'web', count: 2 }] })
// @ts-expect-error an id is a string or a number
startHub({ workers: [{ id: true }] })
// @ts-expect-error a count is a number
startHub({ workers: [{ role: 'web', count: 'auto' }] })
// @ts-expect-error one of two words
startHub({ ready: 'now' })
// @ts-expect-error milliseconds are a number
startHub({ gracePeriod: '10s' })
// @ts-expect-error both, or neither
startHub({ intensity: { restarts: 1 } })
expectType<Equal<SeatSpec | RoleSpec, WorkerSpec>>()
const options: HubOptions<App> = { workers: [the<WorkerSpec>()] }
startHub(options)

// The options of joinHub.
joinHub<App>({ ready: 'auto', onStop: async () => {}, schemas: {} })
joinHub({ onStop: () => {} })
// @ts-expect-error no such option: the hub's timeout is startHub's
joinHub({ timeout: 1000 })
// @ts-expect-error one of two words
joinHub({ ready: false })
const joinOptions: JoinOptions<App> = {}
joinHub(joinOptions)

// Schemas are held against the contract, and tell it where none was given.
const schemas = { tasks: { ping: { output: z.literal('pong') } }, events: { tick: z.tuple([]) } }
startHub<App>({ schemas })
joinHub<App>({ schemas })
// @ts-expect-error no such event
startHub<App>({ schemas: { events: { tock: z.tuple([]) } } })
// @ts-expect-error an output of the wrong type
joinHub<App>({ schemas: { tasks: { ping: { output: z.literal('peng') } } } })

// Whoever takes any member takes these two.
export async function members(): Promise<Hub<App>[]> {
  const primary = await startHub<App>()
  const own = await joinHub<App>()
  expectType<Equal<ReturnType<typeof primary.stop>, Promise<void>>>()
  // @ts-expect-error only the primary forks
  own.fork({ id: 'a' })
  // @ts-expect-error the hub of another contract
  const other: Hub<{ events: { other: () => void } }> = primary
  return [primary, own]
}

// Errors: a switch over their codes knows them all.
const error = the<HubError>()
expectType<Equal<HubError['code'], HubErrorCode>>()
export const failure: Error = error
export function advice(code: HubErrorCode): string {
  switch (code) {
    case 'ERR_HUB_TIMEOUT':
    case 'ERR_HUB_NO_MEMBER':
    case 'ERR_HUB_NO_HANDLER':
    case 'ERR_HUB_MEMBER_EXITED':
    case 'ERR_HUB_OVERLOADED':
    case 'ERR_HUB_ABORTED':
    case 'ERR_HUB_PAYLOAD':
    case 'ERR_HUB_CLOSED':
    case 'ERR_HUB_PROTOCOL':
    case 'ERR_INVALID_ARG_VALUE':
      return code
    default:
      return code satisfies never
  }
}
// @ts-expect-error no such code
error.code === 'ERR_HUB_GONE'
// @ts-expect-error readonly
error.code = 'ERR_HUB_TIMEOUT'
new HubError('ERR_HUB_TIMEOUT', 'no answer', { cause: error })

expectType<Equal<typeof isHubMessage, (message: unknown) => boolean>>()
process.on('message', (message) => isHubMessage(message))

// What code that is generic over a contract needs.
expectType<Equal<TaskName<App>, 'email.send' | 'image.resize' | 'ping' | 'flush' | 'find'>>()
expectType<Equal<EventName<App>, 'news' | 'cache.invalidate' | 'tick' | 'lines'>>()
expectType<Equal<TaskInput<App, 'email.send'>, Mail>>()
expectType<Equal<TaskOutput<App, 'image.resize'>, Uint8Array>>()
expectType<Equal<EventArgs<App, 'cache.invalidate'>, [key: string, ttl?: number | undefined]>>()
function relay<C extends Contract, E extends EventName<C>>(hub: Hub<C>, event: E, ...args: EventArgs<C, E>) {
  return hub.broadcast(event, ...args)
}
relay(the<Hub<App>>(), 'cache.invalidate', 'key')
