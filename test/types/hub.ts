// Compiled, never run: the rest of the hub, lifecycle, workers.
import events from 'node:events'
import type {
  Exit,
  Hub,
  HubStats,
  Member,
  MemberState,
  PrimaryHub,
  ReloadOptions,
  ReloadProgress,
  SlowQueue,
  WorkerHub,
  WorkerSpec,
} from 'hubwire'
import type { App } from './app.js'
import { type Equal, expectType, the } from './assert.js'

const hub = the<Hub<App>>()

expectType<Equal<typeof hub.id, string>>()
expectType<Equal<typeof hub.role, string | undefined>>()
expectType<Equal<typeof hub.members, readonly Member[]>>()
// @ts-expect-error readonly
hub.id = 'b'
// @ts-expect-error readonly
hub.members = []
// @ts-expect-error a snapshot is readonly
hub.members.push(the<Member>())
const member = the<Member>()
expectType<Equal<Member['state'], MemberState>>()
// @ts-expect-error readonly
member.state = 'ready'
// @ts-expect-error no such state
member.state === 'dead'

const drained = [hub.drained(), hub.drained('a'), hub.drained(1), hub.drained(['a', 1]), hub.drained({ role: 'web' })]
expectType<Equal<typeof drained, Promise<void>[]>>()
expectType<Equal<ReturnType<typeof hub.close>, Promise<void>>>()
expectType<Equal<ReturnType<typeof hub.ready>, void>>()
expectType<Equal<ReturnType<typeof hub.stats>, HubStats>>()

// Lifecycle.
hub.lifecycle
  .on('join', (who) => expectType<Equal<typeof who, Member>>())
  .on('leave', (who, exit) => {
    expectType<Equal<typeof who, Member>>()
    expectType<Equal<typeof exit, Exit>>()
    expectType<Equal<typeof exit.code, number | null>>()
  })
  .on('restart', (_who, info) => expectType<Equal<typeof info, { attempt: number; delay: number; exit: Exit }>>())
  .on('give-up', (_who, info) => expectType<Equal<typeof info, { restarts: number; period: number; exit: Exit }>>())
  .on('hung', (_who, info) => expectType<Equal<typeof info, { silence: number }>>())
  .once('slow', (_who, info) => expectType<Equal<typeof info, { queue: SlowQueue; queuedBytes: number }>>())
  .on('reload', (_who, info) => {
    expectType<Equal<typeof info, ReloadProgress>>()
    expectType<Equal<typeof info.phase, 'starting' | 'draining' | 'done' | 'failed'>>()
    // @ts-expect-error readonly
    info.done = 1
  })
  .off('reload', () => {})
// @ts-expect-error no such event
hub.lifecycle.on('exit', () => {})
// @ts-expect-error a listener of the wrong arguments
hub.lifecycle.on('leave', (code: number) => code)
// @ts-expect-error only the hub tells
hub.lifecycle.emit('join', member)
events.once(hub.lifecycle, 'join')
events.on(hub.lifecycle, 'leave')

// The primary's part.
const primary = the<PrimaryHub<App>>()
expectType<Equal<ReturnType<typeof primary.fork>, Promise<readonly Member[]>>>()
primary.fork({ id: 'mailer', exec: './mailer.js' })
primary.fork({ id: 101, role: 'web', exec: new URL('file:///web.js'), env: { A: '1', B: undefined } })
primary.fork({ role: 'web', count: 4, args: ['a'], execArgv: ['--enable-source-maps'], restart: 'on-failure' })
primary.stop('a')
primary.stop(101)
primary.restart(101)
expectType<Equal<ReturnType<typeof primary.reload>, Promise<readonly Member[]>>>()
primary.reload()
primary.reload({ roles: ['web'], ids: ['mailer', 101], concurrency: 2 })
expectType<Equal<NonNullable<Parameters<typeof primary.reload>[0]>, ReloadOptions>>()
// @ts-expect-error roles are several
primary.reload({ role: 'web' })
// @ts-expect-error and so are ids
primary.reload({ ids: 'mailer' })
expectType<Equal<ReturnType<typeof primary.scale>, Promise<readonly Member[]>>>()
primary.scale('web', 4)
// @ts-expect-error so many, not more or less
primary.scale('web', '+1')
// @ts-expect-error a worker reloads nobody
the<WorkerHub<App>>().reload()
// @ts-expect-error neither id nor role
primary.fork({ exec: './web.js' })
// @ts-expect-error an id is one worker
primary.fork({ id: 'a', count: 2 })
// @ts-expect-error no such restart kind
primary.fork({ id: 'a', restart: 'sometimes' })
// @ts-expect-error no such option
primary.fork({ id: 'a', file: './a.js' })
// @ts-expect-error several at once are several calls
primary.stop(['a'])
const spec: WorkerSpec = { role: 'web', env: process.env }
primary.fork(spec)

// Code for any member takes the primary and workers.
function shared(any: Hub<App>) {
  return any.emit('tick')
}
shared(primary)
shared(the<WorkerHub<App>>())
// @ts-expect-error a worker forks nobody
the<WorkerHub<App>>().fork(spec)
