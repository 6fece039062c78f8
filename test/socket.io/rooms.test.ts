import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Packets } from '#lib/packets.js'
import { LocalRooms } from '#lib/socket.io/rooms.js'
import type { Adapter } from '#lib/socket.io/types.js'

/** A member's rooms in memory, and what the hub counts for it. */
function setting() {
  const sids = new Map<string, Set<string>>()
  const rooms = new Map<string, Set<string>>()
  const counted = new Map<string, number>()
  let holders = 0
  let told = 0
  const count = (room: string, by: number) => {
    const now = (counted.get(room) ?? 0) + by
    if (now === 0) counted.delete(room)
    else counted.set(room, now)
  }
  const tellRooms = (_: string, change: { sockets?: boolean; join?: string[]; leave?: string[] }) => {
    told++
    if (change.sockets !== undefined) holders += change.sockets ? 1 : -1
    for (const room of change.join ?? []) count(room, 1)
    for (const room of change.leave ?? []) count(room, -1)
  }
  // As far as they are used.
  const adapter = { sids, rooms, nsp: { name: '/' } } as unknown as Adapter
  const packets = { tellRooms, settled: () => Promise.resolve() } as unknown as Packets
  const local = new LocalRooms(adapter, packets)
  const put = (id: string, joined: Iterable<string>) => {
    const own = sids.get(id) ?? new Set()
    sids.set(id, own)
    for (const room of joined) {
      own.add(room)
      rooms.set(room, (rooms.get(room) ?? new Set()).add(id))
    }
  }
  const remove = (id: string) => {
    for (const room of sids.get(id) ?? []) {
      rooms.get(room)?.delete(id)
      if (rooms.get(room)?.size === 0) rooms.delete(room)
    }
    sids.delete(id)
  }
  return {
    join: (id: string, joined: string[]) => local.adding(id, new Set(joined), () => put(id, joined)),
    end: (id: string) => local.removingAll(id, () => remove(id)),
    depart: (id: string, held: string[]) => local.departing(id, new Set(held), () => remove(id)),
    /** What becomes of it later. */
    gone: (held: string[]) => tellRooms('/', { sockets: false, leave: held }),
    /** The hub has counted that since it gave the order. */
    coming: (ahead: string[]) => {
      holders++
      for (const room of ahead) count(room, 1)
    },
    arrive: (id: string, held: string[], ahead: string[]) => local.arriving(new Set(held), ahead, () => put(id, held)),
    counted: () => [...counted].sort().map(([room, times]) => `${room} ${times}`),
    holders: () => holders,
    told: () => told,
  }
}

test('the hub counts the rooms of a socket that leaves for another member until that is over', () => {
  const { join, end, depart, gone, counted, holders, told } = setting()
  join('a', ['a', 'x', 'y'])
  join('b', ['b', 'x'])
  const before = told()
  depart('a', ['a', 'x', 'y'])
  assert.equal(counted(), ['a 1', 'b 1', 'x 2', 'y 1'])
  assert.is(holders(), 2)
  // Only that somebody else is in a room of it.
  assert.is(told(), before + 1)
  end('b')
  assert.equal(counted(), ['a 1', 'x 1', 'y 1'])
  gone(['a', 'x', 'y'])
  assert.equal(counted(), [])
  assert.is(holders(), 0)
})

test('one that is alone in its rooms leaves without a word', () => {
  const { join, depart, told } = setting()
  join('a', ['a', 'x'])
  const before = told()
  depart('a', ['a', 'x'])
  assert.is(told(), before)
})

test('what it has joined and left meanwhile, and one in no room at all', () => {
  const { join, depart, gone, counted, holders } = setting()
  join('a', ['a', 'left'])
  depart('a', ['a', 'joined'])
  assert.equal(counted(), ['a 1', 'joined 1'])
  gone(['a', 'joined'])
  depart('nowhere', [])
  assert.is(holders(), 1)
  gone([])
  assert.equal(counted(), [])
  assert.is(holders(), 0)
})

test('a room of a socket that arrives is counted once for all who are in it', () => {
  const { join, end, coming, arrive, counted, holders } = setting()
  join('b', ['b', 'x'])
  // It has left a room on its way, and another one that it came back to.
  const ahead = ['a', 'x', 'y', 'left', 'again', 'again']
  coming(ahead)
  arrive('a', ['a', 'x', 'y', 'again'], ahead)
  assert.equal(counted(), ['a 1', 'again 1', 'b 1', 'x 1', 'y 1'])
  assert.is(holders(), 2)
  end('b')
  assert.equal(counted(), ['a 1', 'again 1', 'x 1', 'y 1'])
  end('a')
  assert.equal(counted(), [])
  assert.is(holders(), 0)
})

test.run()
