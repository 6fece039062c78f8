import assert from 'node:assert/strict'
import { Server } from 'socket.io'
import { test } from 'uvu'
import { packetOptions } from '#lib/socket.io/private.js'

/** The buffers of the frame that each WebSocket client is written. */
function frameOf(text: string): Uint8Array[] {
  const { wsPreEncodedFrame } = packetOptions(new Server().of('/').adapter, [text], undefined)
  return wsPreEncodedFrame as Uint8Array[]
}

test("a text's WebSocket frame is one buffer, where it is not too long to be copied", () => {
  // A final frame of text, its length, and engine.io's type of a message.
  assert.deepEqual(frameOf('2["news"]'), [Buffer.from('\x81\x0a42["news"]', 'latin1')])
  const [header, payload] = frameOf('2'.padEnd(100_000, 'x')) as [Uint8Array, Uint8Array]
  assert.deepEqual([...header], [0x81, 127, 0, 0, 0, 0, 0, 1, 0x86, 0xa1])
  assert.equal(payload.byteLength, 100_001)
})

test.run()
