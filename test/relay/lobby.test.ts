import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { ToMember } from '#lib/relay/control.js'
import { Directory } from '#lib/relay/directory.js'
import { Lobby } from '#lib/relay/lobby.js'
import type { Peer } from '#lib/relay/peer.js'
import { ATTACHED, RECOVERABLE } from '#lib/wire/frame.js'
import { packetHeader, Scope, writeRecovery, writeRooms } from '#lib/wire/packet.js'
import { until } from '../conditions.js'
import { OPTIONS } from './fakes.js'

const TIMES = { session: 60_000, packets: 60_000 }

/** A member that sends, one that has recovery on, and what this one is told of how far it is. */
function setting(limits: { maxBytes: number; maxPackets: number }) {
  const told: number[] = []
  const tell = (peer: Peer, message: ToMember) => {
    if (peer === idle && message.t === 'position') told.push(message.hub)
  }
  const lobby = new Lobby({ tell, tellAll: () => {}, slow: () => {} }, { ...limits, maxSessions: 10 })
  const directory = new Directory({
    ...OPTIONS,
    onPressure: () => {},
    onSlow: () => {},
    onHeld: () => {},
    onOffence: () => {},
  })
  const enter = (id: string) =>
    directory.enter(directory.addPlace(id, undefined), 1, { send: () => {}, sendHandle: () => {} })
  const [sender, idle] = [enter('sender'), enter('idle')]
  lobby.control(sender, { t: 'attach', nsp: '/' })
  lobby.control(idle, { t: 'attach', nsp: '/', recovery: TIMES })
  let sent = 0
  const send = (body = '') => {
    const rooms = writeRooms(['elsewhere'])
    const header = packetHeader(RECOVERABLE, 0, Scope.Rooms, '/', rooms, body.length, writeRecovery(++sent, []))
    lobby.relay(sender, header + body, 0, header.length + body.length, [])
  }
  return { lobby, told, send, sender, idle }
}

test('who gets none of what is sent is told how far it is when an eighth of what is kept is new', () => {
  for (const [limits, body] of [
    [{ maxBytes: 1e9, maxPackets: 80 }, ''],
    [{ maxBytes: 80_000, maxPackets: 1e9 }, 'x'.repeat(900)],
  ] as const) {
    const { lobby, told, send } = setting(limits)
    for (let i = 0; i < 10; i++) send(body)
    assert.equal(told, [])
    send(body)
    assert.equal(told, [11])
    for (let i = 0; i < 11; i++) send(body)
    assert.equal(told, [11, 22])
    lobby.close()
  }
})

test('and is told now and then in any case, once', async () => {
  const { lobby, told, send } = setting({ maxBytes: 1e9, maxPackets: 1e6 })
  send()
  await until(() => told.length > 0, 'it is told')
  send()
  await until(() => told.length > 1, 'it is told again')
  assert.equal(told, [1, 2])
  lobby.close()
})

test('what waits of recoverable packets keeps nothing alive of what else was read with it', () => {
  const { lobby, sender, idle } = setting({ maxBytes: 1e9, maxPackets: 1e6 })
  lobby.control(idle, { t: 'rooms', nsp: '/', sockets: true, join: ['here'] })
  const delivered: { attachments: readonly Uint8Array[]; owned: boolean }[] = []
  idle.deliver = (_from, _frames, attachments, owned = false) => delivered.push({ attachments, owned })
  const header = packetHeader(
    RECOVERABLE | ATTACHED,
    0,
    Scope.Rooms,
    '/',
    writeRooms(['here']),
    0,
    writeRecovery(1, []),
  )
  const read = new Uint8Array(65_536).fill(7)
  lobby.relay(sender, header, 0, header.length, [read.subarray(100, 110)])
  assert.equal(delivered, [{ attachments: [new Uint8Array(10).fill(7)], owned: true }])
  assert.is(delivered[0]?.attachments[0]?.buffer.byteLength, 10)
  lobby.close()
})

test.run()
