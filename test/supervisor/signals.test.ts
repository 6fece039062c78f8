import { fork } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { installSignals } from '#lib/supervisor/signals.js'
import { fixture, until } from './harness.js'

const listeners = () => process.listenerCount('SIGINT') + process.listenerCount('SIGTERM')
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

test('the first signal, then every other; an echo of the first is not one', async () => {
  const before = listeners()
  const seen: string[] = []
  const uninstall = installSignals({
    onFirst: (signal) => seen.push(`first ${signal}`),
    onSecond: (signal) => seen.push(`second ${signal}`),
  })
  process.kill(process.pid, 'SIGINT')
  await until(() => seen.length === 1, 'the first')
  process.emit('SIGINT', 'SIGINT')
  assert.equal(seen, ['first SIGINT'])
  process.kill(process.pid, 'SIGTERM')
  await until(() => seen.length === 2, 'another signal')
  await pause(80)
  process.kill(process.pid, 'SIGINT')
  await until(() => seen.length === 3, 'the same signal, later')
  assert.equal(seen, ['first SIGINT', 'second SIGTERM', 'second SIGINT'])
  uninstall()
  uninstall()
  assert.is(listeners(), before)
})

test('SIGHUP is left alone where a terminal is attached, and where nobody asks for it', () => {
  const before = process.listenerCount('SIGHUP')
  const handlers = { onFirst: () => {}, onSecond: () => {} }
  const installed = [installSignals({ ...handlers, onHangup: () => {} }, true), installSignals(handlers, false)]
  assert.is(process.listenerCount('SIGHUP'), before)
  const uninstall = installSignals({ ...handlers, onHangup: () => {} }, false)
  assert.is(process.listenerCount('SIGHUP'), before + 1)
  uninstall()
  for (const one of installed) one()
  assert.is(process.listenerCount('SIGHUP'), before)
})

test('uninstalling leaves the listeners of others', () => {
  const before = listeners()
  const own = () => {}
  process.on('SIGINT', own)
  const handlers = { onFirst: () => {}, onSecond: () => {} }
  const first = installSignals(handlers)
  const second = installSignals(handlers)
  first()
  assert.is(listeners(), before + 3)
  second()
  assert.ok(process.listeners('SIGINT').includes(own))
  process.removeListener('SIGINT', own)
  assert.is(listeners(), before)
})

test('a worker holds both signals until it releases them', async () => {
  const child = fork(fixture('signalled.mjs'))
  const messages: unknown[] = []
  child.on('message', (message) => messages.push(message))
  try {
    await until(() => messages.includes('holding'), 'holding')
    child.kill('SIGINT')
    child.kill('SIGTERM')
    await pause(100)
    assert.is(child.exitCode ?? child.signalCode, null)
    child.send('release')
    await until(() => messages.includes('release done'), 'released')
    const exit = once(child, 'exit')
    child.kill('SIGTERM')
    assert.equal(await exit, [null, 'SIGTERM'])
  } finally {
    child.kill('SIGKILL')
  }
})

test('what it keeps takes effect when it releases them', async () => {
  const child = fork(fixture('signalled.mjs'))
  const messages: unknown[] = []
  child.on('message', (message) => messages.push(message))
  try {
    await until(() => messages.includes('holding'), 'holding')
    child.send('keep')
    await until(() => messages.includes('keep done'), 'it keeps them')
    child.kill('SIGTERM')
    await pause(100)
    assert.is(child.exitCode ?? child.signalCode, null)
    const exit = once(child, 'exit')
    child.send('release')
    assert.equal(await exit, [null, 'SIGTERM'])
  } finally {
    child.kill('SIGKILL')
  }
})

test.run()
