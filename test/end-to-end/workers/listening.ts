import { on, once } from 'node:events'
import { isHubMessage, joinHub } from 'hubwire'
import { fromMessage, readBatch } from '#lib/wire/batch.js'
import { eventName, Kind, readKind } from '#lib/wire/frame.js'

/** What reaches this process over its channel, whatever the hub makes of it. */
const reached = { bytes: 0, events: [] as string[], own: [] as unknown[] }
process.on('message', (message) => {
  if (!isHubMessage(message)) {
    reached.own.push(message)
    return
  }
  const batch = fromMessage(message)
  if (!batch) return
  reached.bytes += batch.text.length
  for (const { byteLength } of batch.attachments) reached.bytes += byteLength
  readBatch(batch, (text, at) => {
    if (readKind(text, at) === Kind.Event) reached.events.push(eventName(text, at))
  })
})

const hub = await joinHub()
const heard: string[] = []
const uncaught: string[] = []
process.on('uncaughtException', (error) => uncaught.push(error.message))

const listener = (...args: unknown[]) => {
  heard.push(`listener ${args}`)
}
const other = (...args: unknown[]) => {
  heard.push(`other ${args}`)
}
const any = (event: string, args: unknown[], { from }: { from: { id: string } }) => {
  heard.push(`any ${event} ${args} from ${from.id}`)
}
const throwing = (...args: unknown[]) => {
  heard.push(`throwing ${args}`)
  throw new Error(`thrown for ${args}`)
}

const steps: Record<string, (event: string) => unknown> = {
  on: (event) => hub.on(event, listener),
  addListener: (event) => hub.addListener(event, listener),
  once: (event) => hub.once(event, listener),
  prependListener: (event) => hub.prependListener(event, listener),
  prependOnceListener: (event) => hub.prependOnceListener(event, listener),
  off: (event) => hub.off(event, listener),
  removeListener: (event) => hub.removeListener(event, listener),
  removeAllListeners: (event) => hub.removeAllListeners(event),
  'remove all of all': () => hub.removeAllListeners(),
  'on other': (event) => hub.on(event, other),
  'prepend other': (event) => hub.prependListener(event, other),
  'off other': (event) => hub.off(event, other),
  onAny: () => hub.onAny(any),
  offAny: () => hub.offAny(any),
  'on throwing': (event) => hub.on(event, throwing),
  'once throwing': (event) => hub.once(event, throwing),
  'any throwing': () => hub.onAny((event) => throwing(event)),
  'events.once': (event) => {
    once(hub, event).then((args) => heard.push(`once ${args}`))
  },
  'events.on': async (event) => {
    ;(async () => {
      for await (const args of on(hub, event)) if (heard.push(`iterated ${args}`) && args[0] === 'last') break
      heard.push('ended')
    })()
  },
}

hub.handle('do', ({ step, event }: { step: string; event: string }) => {
  steps[step]?.(event)
})
hub.handle('reached', async () => {
  // Promises that the same batch has resolved, and errors that it has thrown, have their say first.
  await new Promise((resolve) => setImmediate(resolve))
  const copy = { ...reached, heard: heard.splice(0), uncaught: uncaught.splice(0) }
  Object.assign(reached, { bytes: 0, events: [], own: [] })
  return copy
})
