// Compiled, never run: events.
import type { Hub, Sender } from 'hubwire'
import type { App, Article, TypedApp } from './app.js'
import { type Equal, expectType, the } from './assert.js'

const hub = the<Hub<App>>()
const article = the<Article>()

// What editors complete.
type Names = 'news' | 'cache.invalidate' | 'tick' | 'lines'
expectType<Equal<Parameters<Hub<App>['emit']>[0], Names>>()
expectType<Equal<Parameters<Hub<App>['broadcast']>[0], Names>>()
expectType<Equal<Parameters<ReturnType<Hub<App>['timeout']>['to']>[0], { readonly role: string }>>()

// Every verb takes the contract's arguments.
expectType<Equal<ReturnType<typeof hub.emit>, boolean>>()
hub.emit('news', article)
hub.emit('tick')
hub.emit('cache.invalidate', 'key')
hub.emit('cache.invalidate', 'key', 10)
hub.emit('lines')
hub.emit('lines', 'a', 'b', 'c')
hub.broadcast('news', article)
hub.to('a').emit('news', article)
hub.to(['a', 101]).emit('news', article)
hub.to({ role: 'web' }).emit('news', article)

// @ts-expect-error no such event
hub.emit('newz', article)
// @ts-expect-error a task is no event
hub.emit('email.send', { to: '', text: '' })
// @ts-expect-error too few arguments
hub.emit('news')
// @ts-expect-error too many arguments
hub.emit('tick', 1)
// @ts-expect-error too many arguments
hub.emit('news', article, 1)
// @ts-expect-error a field of the wrong type
hub.emit('news', { id: '1', title: '' })
// @ts-expect-error a field that the contract does not know
hub.emit('news', { id: 1, title: '', author: '' })
// @ts-expect-error an optional argument of the wrong type
hub.emit('cache.invalidate', 'key', '10')
// @ts-expect-error rest arguments of the wrong type
hub.emit('lines', 'a', 2)
// @ts-expect-error no such event
hub.broadcast('newz', article)
// @ts-expect-error an argument of the wrong type
hub.broadcast('news', 1)
// @ts-expect-error no such event, to one
hub.to('a').emit('newz')
// @ts-expect-error too few arguments, to several
hub.to(['a']).emit('news')
// @ts-expect-error an argument of the wrong type, to a role
hub.to({ role: 'web' }).emit('news', 'x')

// Local events are heard, not sent.
hub.on('error', (error) => expectType<Equal<typeof error, Error>>())
hub.on('newListener', (event) => expectType<Equal<typeof event, string>>())
// @ts-expect-error `error` is local
hub.emit('error', new Error())
// @ts-expect-error `error` is local
hub.broadcast('error', new Error())
// @ts-expect-error `newListener` is local
hub.emit('newListener', 'news', () => {})
// @ts-expect-error `removeListener` is local
hub.to('a').emit('removeListener', 'news', () => {})

// Listeners.
expectType<Equal<ReturnType<typeof hub.on>, Hub<App>>>()
hub
  .on('news', (heard) => expectType<Equal<typeof heard, Article>>())
  .once('cache.invalidate', (key, ttl) => {
    expectType<Equal<typeof key, string>>()
    expectType<Equal<typeof ttl, number | undefined>>()
  })
  .off('tick', () => {})
  .addListener('lines', (...lines) => expectType<Equal<typeof lines, string[]>>())
  .prependListener('news', () => {})
  .prependOnceListener('news', () => {})
  .removeListener('news', () => {})
  .removeAllListeners('news')
  .removeAllListeners()
  .setMaxListeners(20)
hub.on('news', async () => {})
// @ts-expect-error no such event
hub.on('newz', () => {})
// @ts-expect-error a listener of the wrong argument
hub.on('news', (wrong: string) => wrong)
// @ts-expect-error a listener that wants more arguments than there are
hub.on('tick', (extra: number) => extra)
// @ts-expect-error no such event
hub.off('newz', () => {})
// @ts-expect-error a listener of the wrong argument
hub.once('cache.invalidate', (wrong: number) => wrong)
// @ts-expect-error no such event
hub.listenerCount('newz')

hub.onAny((event, args, { from }) => {
  expectType<Equal<typeof event, Names>>()
  expectType<Equal<typeof from, Sender>>()
  return [event.length, args.length, from.id]
})
hub.offAny(() => {})

// A contract of types and one of interfaces are equally good.
const typed = the<Hub<TypedApp>>()
expectType<Equal<Parameters<typeof typed.emit>[0], Names>>()
typed.emit('news', article)
typed.on('news', (heard) => expectType<Equal<typeof heard, Article>>())
// @ts-expect-error no such event
typed.emit('newz')
// @ts-expect-error an argument of the wrong type
typed.emit('news', 1)

// Only events, only tasks, neither.
const onlyEvents = the<Hub<{ events: App['events'] }>>()
onlyEvents.emit('news', article)
onlyEvents.on('error', () => {})
// @ts-expect-error it has no tasks
onlyEvents.delegate('email.send', { to: '', text: '' })
// @ts-expect-error it has no tasks
onlyEvents.handle('ping', () => 'pong')
const onlyTasks = the<Hub<{ tasks: App['tasks'] }>>()
onlyTasks.delegate('ping')
onlyTasks.on('error', () => {})
// @ts-expect-error it has no events
onlyTasks.emit('news', article)
// @ts-expect-error it has no events
onlyTasks.on('news', () => {})
const neither = the<Hub<Record<never, never>>>()
// @ts-expect-error it has no events
neither.emit('news')
// @ts-expect-error it has no tasks
neither.delegate('ping')

// Without a contract anything goes, except what is no name.
const untyped = the<Hub>()
untyped.emit('whatever', 1, 'two', [3])
untyped.on('whatever', (a: number, b: string) => [a, b])
untyped.on('error', (error: Error) => error)
untyped.broadcast('whatever')
untyped.to(1).emit('whatever')
// @ts-expect-error a name is a string
untyped.emit(1)
