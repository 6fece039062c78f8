// Compiled, never run: the hub where an event emitter is expected, that of typed-emitter and that of Node.js.
import events, { type EventEmitter } from 'node:events'
import type { Hub, PrimaryHub } from 'hubwire'
import type TypedEmitter from 'typed-emitter'
import type { App, Article, TypedApp } from './app.js'
import { type Equal, expectType, the } from './assert.js'

// typed-emitter is CommonJS: for an ES module its default export is a property.
type Emitter<Events extends TypedEmitter.EventMap> = TypedEmitter.default<Events>

const hub = the<Hub<TypedApp>>()
const emitter: Emitter<TypedApp['events']> = hub
emitter.on('news', (article) => expectType<Equal<typeof article, Article>>())
emitter.emit('news', the<Article>())
const primary: Emitter<TypedApp['events']> = the<PrimaryHub<TypedApp>>()
primary.off('tick', () => {})
// @ts-expect-error another event map
const other: Emitter<{ news: (n: number) => void; extra: () => void }> = hub

// An event map as typed-emitter's users have it, `error` included, works unchanged, as a type or as an interface.
type MessageEvents = {
  error: (error: Error) => void
  message: (body: string, from: Article) => void
}
interface MessageInterface {
  error: (error: Error) => void
  message: (body: string, from: Article) => void
}
const messages = the<Hub<{ events: MessageEvents }>>()
const asTyped: Emitter<MessageEvents> = messages
asTyped.on('message', (body) => expectType<Equal<typeof body, string>>())
messages.on('error', (error) => expectType<Equal<typeof error, Error>>())
// @ts-expect-error in a hub `error` is local
messages.emit('error', new Error())
const declared = the<Hub<{ events: MessageInterface }>>()
declared.emit('message', '', the<Article>())
declared.on('error', (error) => expectType<Equal<typeof error, Error>>())
// An interface fits typed-emitter itself no more than it ever did, but the map that it is copied to does.
export const copied: Emitter<{ [E in keyof MessageInterface]: MessageInterface[E] }> = declared

// Node's emitter, and what takes one.
const node: NodeJS.EventEmitter = the<Hub<App>>()
const node2: EventEmitter = the<Hub<TypedApp>>()
const node3: NodeJS.EventEmitter = the<Hub>()
node.on('news', () => node2.listenerCount('news') + node3.listenerCount('news'))
events.once(the<Hub<App>>(), 'news')
events.once(the<Hub>(), 'news', { signal: the<AbortSignal>() })
events.on(the<Hub<App>>(), 'news')
async function iterate() {
  const [article] = await events.once(the<Hub<App>>(), 'news')
  for await (const [next] of events.on(hub, 'news')) hub.emit('news', next ?? article)
}
iterate()
