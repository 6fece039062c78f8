// Compiled, never run: tasks, targets and operators.
import type { Caller, Gathered, Hub, MembersTarget, MemberTarget, RoleTarget, TaskContext } from 'hubwire'
import type { App, Article, Mail } from './app.js'
import { type Equal, expectType, the } from './assert.js'

const hub = the<Hub<App>>()
const mail = the<Mail>()
const job = { image: new Uint8Array(), width: 1 }
const signal = the<AbortSignal>()

// What editors complete.
type Names = 'email.send' | 'image.resize' | 'ping' | 'flush' | 'find'
expectType<Equal<Parameters<Hub<App>['delegate']>[0], Names>>()
expectType<Equal<Parameters<Hub<App>['handle']>[0], Names>>()
expectType<Equal<Parameters<MemberTarget<App>['request']>[0], Names>>()
expectType<Equal<Parameters<MembersTarget<App>['gather']>[0], Names>>()
expectType<Equal<Parameters<RoleTarget<App>['delegate']>[0], Names>>()

// Answers: a contract may promise or not.
const sent = hub.to('mailer').request('email.send', mail)
expectType<Equal<typeof sent, Promise<{ messageId: string }>>>()
const resized = hub.delegate('image.resize', job)
expectType<Equal<typeof resized, Promise<Uint8Array>>>()
const pong = hub.delegate('ping')
expectType<Equal<typeof pong, Promise<'pong'>>>()
const flushed = hub.to({ role: 'web' }).delegate('flush')
expectType<Equal<typeof flushed, Promise<void>>>()
const gathered = hub.to(['a', 'b']).gather('ping')
expectType<Equal<typeof gathered, Promise<Gathered<'pong'>[]>>>()
const all = hub.to({ role: 'web' }).gather('image.resize', job)
expectType<Equal<typeof all, Promise<Gathered<Uint8Array>[]>>>()
hub.to('a').gather('ping')
hub.delegate('find')
hub.delegate('find', 1)
hub.delegate('find', undefined)

async function settled() {
  for (const entry of await gathered) {
    if (entry.status === 'fulfilled') expectType<Equal<typeof entry.value, 'pong'>>()
    else expectType<Equal<typeof entry.reason, Error & { readonly code?: string }>>()
    // @ts-expect-error only what is fulfilled has a value
    entry.value
  }
}
settled()

// @ts-expect-error no such task
hub.delegate('email.sent', mail)
// @ts-expect-error an event is no task
hub.delegate('news', the<Article>())
// @ts-expect-error no input
hub.delegate('email.send')
// @ts-expect-error a field is missing
hub.delegate('email.send', { to: 'a' })
// @ts-expect-error a field that the contract does not know
hub.delegate('email.send', { to: 'a', text: '', cc: 'b' })
// @ts-expect-error two inputs
hub.delegate('email.send', mail, mail)
// @ts-expect-error this task takes no input
hub.delegate('ping', 1)
// @ts-expect-error an input of the wrong type
hub.delegate('find', '1')
// @ts-expect-error no such task
hub.to('a').request('pong')
// @ts-expect-error no input
hub.to('a').request('email.send')
// @ts-expect-error an input of the wrong type
hub.to(['a']).gather('email.send', 'x')
// @ts-expect-error no such task
hub.to({ role: 'web' }).delegate('pong')
// @ts-expect-error the answer is awaited
hub.delegate('email.send', mail).messageId

// A request names one member, a delegation none.
expectType<Equal<ReturnType<typeof toOne>, MemberTarget<App>>>()
function toOne() {
  return hub.to('a')
}
hub.to(101).request('ping')
hub.to('primary').request('ping')
hub.to(['a', 101]).emit('tick')
hub.to(['a', 'b'] as const).gather('ping')
// @ts-expect-error a role is more than one: delegate or gather
hub.to({ role: 'web' }).request('ping')
// @ts-expect-error several members: gather
hub.to(['a', 'b']).request('ping')
// @ts-expect-error one member: request
hub.to('a').delegate('ping')
// @ts-expect-error several members: gather
hub.to(['a', 'b']).delegate('ping')
// @ts-expect-error whom? Use to(id).request, or delegate
hub.request('ping')
// @ts-expect-error from whom? Use to(targets).gather
hub.gather('ping')
// @ts-expect-error no target
hub.to()
// @ts-expect-error no target
hub.to({ id: 'a' })
// @ts-expect-error no target
hub.to(true)
// @ts-expect-error not twice
hub.to('a').to('b')

// Operators keep the types, in any order, on either side of `to`.
const chained = hub.timeout(1).to('a').retry(2).signal(signal).request('email.send', mail)
expectType<Equal<typeof chained, Promise<{ messageId: string }>>>()
const caller = hub.retry(1).signal(signal).timeout(1)
expectType<Equal<typeof caller, Caller<App>>>()
const role = caller.to({ role: 'web' }).timeout(1)
expectType<Equal<typeof role, RoleTarget<App>>>()
const several = hub.to(['a']).timeout(1).retry(1)
expectType<Equal<typeof several, MembersTarget<App>>>()
caller.delegate('ping')
role.delegate('ping')
several.gather('ping')
hub.timeout(Number.POSITIVE_INFINITY).delegate('ping')
// @ts-expect-error an operator does not make a role one member
hub.timeout(1).to({ role: 'web' }).retry(1).request('ping')
// @ts-expect-error an operator does not forget the contract
hub.timeout(1).to('a').retry(1).request('pong')
// @ts-expect-error milliseconds are a number
hub.timeout('1s')
// @ts-expect-error a signal, not its controller
hub.signal(new AbortController())
// @ts-expect-error a number of times
hub.retry(true)

// Handlers: sync or async, whatever the contract writes.
const stop = hub.handle('email.send', (input, context) => {
  expectType<Equal<typeof input, Mail>>()
  expectType<Equal<typeof context, TaskContext>>()
  expectType<Equal<typeof context.signal, AbortSignal>>()
  return { messageId: input.to }
})
expectType<Equal<typeof stop, () => void>>()
hub.handle('email.send', async (input) => ({ messageId: input.to }), { concurrency: 2 })
hub.handle('image.resize', ({ image }) => image)
hub.handle('image.resize', async ({ image, width }) => image.subarray(width))
hub.handle('ping', () => 'pong')
hub.handle('ping', (input) => {
  expectType<Equal<typeof input, undefined>>()
  return 'pong'
})
hub.handle('flush', () => {})
hub.handle('flush', async () => {})
hub.handle('find', (id) => {
  expectType<Equal<typeof id, number | undefined>>()
  return undefined
})
// @ts-expect-error no such task
hub.handle('pong', () => 'ping')
// @ts-expect-error an answer of the wrong type
hub.handle('email.send', () => ({ messageId: 1 }))
// @ts-expect-error an answer of the wrong type, promised
hub.handle('email.send', async () => 'id')
// @ts-expect-error no answer
hub.handle('ping', () => {})
// @ts-expect-error an input of the wrong type
hub.handle('email.send', (input: string) => ({ messageId: input }))
// @ts-expect-error no such option
hub.handle('ping', () => 'pong', { parallel: 1 })

// A task takes exactly one input. One of two is refused wherever it is used.
const wrong = the<Hub<{ tasks: { add: (a: number, b: number) => number; many: (...all: number[]) => number } }>>()
// @ts-expect-error two inputs
wrong.delegate('add', 1, 2)
// @ts-expect-error one of two inputs
wrong.delegate('add', 1)
// @ts-expect-error two inputs
wrong.to('a').request('add', 1, 2)
// @ts-expect-error two inputs
wrong.to(['a']).gather('add', 1, 2)
// @ts-expect-error any number of inputs
wrong.delegate('many', 1, 2)
// @ts-expect-error two inputs
wrong.handle('add', (a: number) => a)
// @ts-expect-error any number of inputs
wrong.handle('many', (a: number) => a)

// Without a contract anything goes.
const untyped = the<Hub>()
const any = untyped.delegate('whatever', { a: 1 })
expectType<Equal<typeof any, Promise<any>>>()
untyped.delegate('whatever')
untyped.handle('whatever', (input) => input.a)
untyped.handle('whatever', async () => 1)
untyped.to(1).request('whatever', 1)
// @ts-expect-error two inputs, even so
untyped.delegate('whatever', 1, 2)
