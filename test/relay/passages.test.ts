import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { RELEASED, type ToMember } from '#lib/relay/control.js'
import { Directory } from '#lib/relay/directory.js'
import { Lobby } from '#lib/relay/lobby.js'
import type { Peer } from '#lib/relay/peer.js'
import { writePosition } from '#lib/wire/position.js'
import { OPTIONS } from './fakes.js'

const LIMITS = { maxBytes: 1e9, maxPackets: 1e6, maxSessions: 1e6 }
const TIMES = { session: 60_000, packets: 60_000 }
const DATA = { text: '[]' }

/** Two members, of which the first has a client; whether the second is told that it is lost, and the client may come back. */
function setting() {
  const lost: number[] = []
  const tell = (peer: Peer, message: ToMember) => {
    if (peer === to && message.t === 'lost') lost.push(message.n)
  }
  const lobby = new Lobby({ tell, tellAll: () => {}, slow: () => {} }, LIMITS)
  const ignore = () => {}
  const directory = new Directory({ ...OPTIONS, onPressure: ignore, onSlow: ignore, onHeld: ignore, onOffence: ignore })
  const enter = (id: string) =>
    directory.enter(directory.addPlace(id, undefined), 1, { send: () => {}, sendHandle: () => {} })
  const [from, to] = [enter('from'), enter('to')]
  for (const peer of [from, to]) lobby.control(peer, { t: 'attach', nsp: '/', recovery: TIMES })
  const at = writePosition({ origin: from.address, hub: 0, local: 0 })
  lobby.control(from, { t: 'session', nsp: '/', pid: 'p', sid: 's', at, rooms: [], data: DATA })
  const isAway = () => lobby.log.stats().away === 1
  const move = (pid: string | undefined, polls = false) =>
    lobby.move(from, to, {
      t: 'move',
      to: to.address,
      n: 7,
      polls,
      sockets: [{ nsp: '/', pid, rooms: [] }],
      state: DATA,
    })
  return { lobby, from, to, lost, isAway, move }
}

test('a session whose process dies before its connection has come is lost, and its client may come back', () => {
  const { lobby, from, lost, isAway, move } = setting()
  move('p')
  lobby.passes(from, { t: 'pass', n: 7, op: RELEASED })
  lobby.leave(from)
  assert.equal(lost, [7])
  assert.ok(isAway())
  lobby.close()
})

test('so is one for which packets were still there; where nobody could give it these, it keeps its connection', () => {
  for (const pid of ['p', undefined]) {
    const { lobby, from, lost, isAway, move } = setting()
    move(pid)
    lobby.passes(from, { t: 'take', n: 7 })
    lobby.leave(from)
    assert.equal(lost, pid ? [7] : [])
    if (pid) assert.ok(isAway())
    lobby.close()
  }
})

test('one of which nothing is missing is not', () => {
  for (const polls of [false, true]) {
    const { lobby, from, lost, isAway, move } = setting()
    move('p', polls)
    if (!polls) lobby.passes(from, { t: 'take', n: 7 })
    lobby.passes(from, { t: 'pass', n: 7, op: 'write' })
    lobby.passes(from, { t: 'pass', n: 7, op: RELEASED })
    lobby.leave(from)
    assert.equal(lost, [])
    assert.not.ok(isAway())
    lobby.close()
  }
})

test('so, too, where the connection has come before the word of it', () => {
  const { lobby, from, lost, isAway, move } = setting()
  lobby.passes(from, { t: 'take', n: 7 })
  move('p')
  lobby.passes(from, { t: 'pass', n: 7, op: RELEASED })
  lobby.leave(from)
  assert.equal(lost, [])
  assert.not.ok(isAway())
  lobby.close()
})

test('one whose new process dies is away, and nobody is told of it later', () => {
  const { lobby, from, to, lost, isAway, move } = setting()
  move('p')
  lobby.leave(to)
  assert.ok(isAway())
  lobby.leave(from)
  assert.equal(lost, [])
  lobby.close()
})

test.run()
