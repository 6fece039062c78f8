import { EventEmitter } from 'node:events'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { HandleChannel } from '#lib/http/handle-channel.js'
import { MARKER, type Message } from '#lib/wire/batch.js'
import type { Handle } from '#lib/wire/transport.js'

type Done = (error: Error | null) => void

const HANDLE: Handle = { close() {} }
const ACK = { cmd: 'NODE_HANDLE_ACK' }
const NACK = { cmd: 'NODE_HANDLE_NACK' }

/** A channel whose writes end, and whose other side answers, when the test says so. */
class Fake {
  readonly emitter = new EventEmitter()
  readonly sent: { message: Message; done: Done; handle: Handle | undefined }[] = []
  readonly channel: HandleChannel
  readonly taken: (string | null)[] = []

  constructor(heard = true) {
    this.channel = new HandleChannel(heard ? this.emitter : undefined, (message, done, handle) => {
      this.sent.push({ message, done, handle })
    })
  }

  send(name: string): void {
    this.channel.send(name, HANDLE, (error) => this.taken.push(error ? error.message : name))
  }

  /** That write has ended. */
  written(at: number, error: Error | null = null): void {
    this.sent[at]?.done(error)
  }

  tell(message: object): void {
    this.emitter.emit('internalMessage', message)
  }

  get messages(): Message[] {
    return this.sent.map(({ message }) => message)
  }
}

for (const heard of [true, false]) {
  test(`where Node tells nothing, the empty batch behind each handle does${heard ? '' : '; also where nobody can hear'}`, () => {
    const fake = new Fake(heard)
    for (const [n, name] of ['a', 'b', 'c'].entries()) {
      fake.send(name)
      assert.equal(fake.messages.slice(2 * n), [name, MARKER])
      assert.equal([fake.sent[2 * n]?.handle, fake.sent[2 * n + 1]?.handle], [HANDLE, undefined])
      fake.written(2 * n)
      assert.is(fake.taken.length, n, 'written is not taken')
      // What else Node says to itself is no answer.
      fake.tell({ cmd: 'NODE_CLUSTER' })
      assert.is(fake.taken.length, n)
      fake.written(2 * n + 1)
      assert.is(fake.taken.at(-1), name)
    }
    assert.equal(fake.taken, ['a', 'b', 'c'])
  })
}

test('where Node tells, each handle is taken at its word, and only the first has an empty batch behind it', () => {
  const fake = new Fake()
  fake.send('a')
  fake.written(0)
  fake.tell(ACK)
  assert.equal(fake.taken, ['a'])
  fake.send('b')
  assert.equal(fake.messages, ['a', MARKER, 'b'])
  // The first one's empty batch is gone now: it says nothing of the second.
  fake.written(1)
  assert.equal(fake.taken, ['a'])
  fake.written(2)
  fake.tell(ACK)
  assert.equal(fake.taken, ['a', 'b'])
  assert.equal(fake.messages, ['a', MARKER, 'b'])
})

test('a word that comes before the handle was written may be about somebody else’s: the empty batch decides', () => {
  const fake = new Fake()
  fake.send('a')
  fake.written(0)
  fake.tell(ACK)
  fake.send('b')
  fake.tell(ACK)
  assert.equal(fake.taken, ['a'])
  fake.written(2)
  assert.equal(fake.taken, ['a'])
  assert.equal(fake.messages, ['a', MARKER, 'b', MARKER])
  fake.written(3)
  assert.equal(fake.taken, ['a', 'b'])
})

test('a word that comes late, or about nothing, is not heard', () => {
  const fake = new Fake()
  fake.tell(ACK)
  fake.send('a')
  // What was said before says nothing about whether Node tells of ours.
  assert.equal(fake.messages, ['a', MARKER])
  fake.written(0)
  fake.written(1)
  assert.equal(fake.taken, ['a'])
  fake.tell(ACK)
  fake.send('b')
  assert.equal(fake.messages, ['a', MARKER, 'b', MARKER])
  assert.equal(fake.taken, ['a'])
})

test('a handle that did not arrive is tried again by Node, and the empty batch tells how that ended', () => {
  const fake = new Fake()
  fake.send('a')
  fake.written(0)
  fake.tell(NACK)
  assert.equal(fake.taken, [])
  assert.equal(fake.messages, ['a', MARKER, MARKER])
  fake.written(2)
  assert.equal(fake.taken, ['a'])
  fake.written(1)
  assert.equal(fake.taken, ['a'], 'once')
})

test('what cannot be written is the caller’s again, once', () => {
  const fake = new Fake()
  fake.send('a')
  fake.written(0, new Error('Channel closed'))
  fake.written(1, new Error('Channel closed'))
  assert.equal(fake.taken, ['Channel closed'])
  // Written, but the channel ended before the other side took it.
  fake.send('b')
  fake.written(2)
  fake.written(3, new Error('ended'))
  assert.equal(fake.taken, ['Channel closed', 'ended'])
})

test.run()
