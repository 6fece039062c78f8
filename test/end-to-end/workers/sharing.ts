// Uses its channel for messages of its own, beside the hub.
import { isHubMessage, joinHub } from 'hubwire'

const mine: unknown[] = []
let batches = 0
process.on('message', (message: { ask?: unknown }) => {
  if (isHubMessage(message)) {
    batches++
    return
  }
  mine.push(message)
  if (message.ask !== undefined) process.send?.({ answer: message.ask })
})
process.send?.({ early: process.pid })

const hub = await joinHub()
hub.on('news', (n: number) => process.send?.({ heard: n }))
hub.handle('mine', () => ({ mine, batches: batches > 0 }))
hub.handle('binary', (bytes: Uint8Array) => bytes.length)
