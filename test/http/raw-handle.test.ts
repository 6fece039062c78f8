import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createRawServer, type RawHandle, readBySocket, readFrom, remoteAddress, wrap } from '#lib/http/raw-handle.js'
import { Reception } from '#lib/http/reception.js'
import { until } from './harness.js'

/** A connection from both ends: a socket, and the handle that nobody reads. */
async function connection(): Promise<{ client: Socket; handle: RawHandle }> {
  let handle: RawHandle | undefined
  const server = createRawServer((accepted) => {
    handle = accepted
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = net.connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
  client.on('error', () => {})
  await once(client, 'connect')
  await until(() => handle !== undefined, 'it is accepted')
  server.close()
  return { client, handle: handle as RawHandle }
}

/** Reads a handle to its end, as the one who gets it does. */
function readOn(handle: RawHandle): { bytes: () => Buffer; socket: Socket; ended: () => boolean } {
  const chunks: Buffer[] = []
  let ended = false
  const socket = wrap(handle)
  socket.on('data', (chunk) => chunks.push(chunk))
  socket.on('end', () => {
    ended = true
  })
  return { bytes: () => Buffer.concat(chunks), socket, ended: () => ended }
}

for (const [name, read] of Object.entries({ readFrom, readBySocket })) {
  test(`${name}: every split of what is read, and then the end`, async () => {
    const text = 'GET / HTTP/1.1\r\n'
    for (let at = 1; at < text.length; at++) {
      const { client, handle } = await connection()
      const got: (Buffer | undefined)[] = []
      const stop = read(handle, (bytes) => got.push(bytes))
      const whole = () => Buffer.concat(got.filter((bytes) => bytes !== undefined)).toString()
      client.write(text.slice(0, at))
      await until(() => whole() === text.slice(0, at), 'the first part arrives')
      client.end(text.slice(at))
      await until(() => got.includes(undefined), 'the end arrives')
      assert.is(whole(), text)
      assert.is(got.filter((bytes) => bytes === undefined).length, 1)
      stop()
      // The other half is still there.
      const { socket } = readOn(handle)
      socket.end('answer')
      const [answer] = await once(client, 'data')
      assert.is(String(answer), 'answer')
      socket.destroy()
      client.destroy()
    }
  })

  test(`${name}: what is still to be read when it stops is read by whoever has the handle next`, async () => {
    const whole = randomBytes(4_000_000)
    for (const parts of [1, 3]) {
      const { client, handle } = await connection()
      const before: Buffer[] = []
      let stopped = false
      const stop = read(handle, (bytes) => {
        assert.not(stopped, 'it reads no more')
        assert.ok(bytes)
        before.push(bytes)
        if (before.length < parts) return
        stop()
        stopped = true
      })
      client.end(whole)
      await until(() => stopped, 'something arrives')
      // Meanwhile more comes, and nobody reads it.
      await until(() => client.writableLength === 0 || client.bytesWritten > 100_000, 'the rest is under way')
      const { bytes, socket, ended } = readOn(handle)
      await until(ended, 'the end arrives')
      const all = Buffer.concat([...before, bytes()])
      assert.is(all.length, whole.length)
      assert.ok(all.equals(whole))
      socket.destroy()
      client.destroy()
    }
  })

  test(`${name}: it stops before anything came`, async () => {
    const { client, handle } = await connection()
    const stop = read(handle, () => assert.unreachable('it reads no more'))
    stop()
    client.end('hello')
    const { bytes, socket, ended } = readOn(handle)
    await until(ended, 'the end arrives')
    assert.is(bytes().toString(), 'hello')
    socket.destroy()
    client.destroy()
  })

  test(`${name}: a connection that breaks ends once, and is told from one that has ended`, async () => {
    const { client, handle } = await connection()
    const got: (string | undefined)[] = []
    const stop = read(handle, (bytes) => got.push(bytes?.toString()))
    client.write('GE')
    await until(() => got.length > 0, 'something arrives')
    client.resetAndDestroy()
    await until(() => got.length > 1, 'the end arrives')
    assert.equal(got, ['GE', undefined])
    assert.is(remoteAddress(handle), undefined)
    stop()
    handle.close()
  })
}

test('a connection that breaks in the middle of its request line goes to nobody', async () => {
  const { client, handle } = await connection()
  const reception = new Reception({
    part: 'line',
    maxRequestLine: 100,
    headTimeout: 60_000,
    onRead: () => assert.unreachable('it was handed on'),
    maxReading: 1,
    onRefuse: () => assert.unreachable('it was refused'),
    onCrowded: () => assert.unreachable('it was one too many'),
  })
  let closed = false
  const { close } = handle
  handle.close = function (this: RawHandle) {
    closed = true
    close.call(this)
  }
  reception.receive(handle)
  await new Promise<void>((resolve) => client.write('GET /', () => resolve()))
  client.resetAndDestroy()
  await until(() => reception.size === 0, 'it is let go')
  assert.ok(closed)
})

test.run()
