import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Extent } from '#lib/relay/extent.js'
import { covers, type Position } from '#lib/wire/position.js'

const member = fc.integer({ min: 1, max: 3 })

/** Packets of three members in the order of the hub, and which of two extents has them. */
const sent = fc.array(fc.record({ origin: member, of: fc.constantFrom('first', 'second') }), { maxLength: 20 })
const position = fc.record({ origin: member, hub: fc.nat(20), local: fc.nat(10) })

test('whoever is said to have got all of an extent has, also of two that were merged', () => {
  let behind = 0
  fc.assert(
    fc.property(sent, fc.array(position, { minLength: 1, maxLength: 2 }), (sent, positions) => {
      const counts = [0, 0, 0, 0]
      const extents = { first: new Extent(), second: new Extent() }
      const packets: (Position & { of: string })[] = sent.map(({ origin, of }, i) => {
        counts[origin] = (counts[origin] as number) + 1
        return { origin, of, hub: i + 1, local: counts[origin] as number }
      })
      for (const packet of packets) extents[packet.of as 'first'].add(packet)
      const has = (packet: Position) => positions.some((one) => covers(one, packet))
      for (const of of ['first', 'second'] as const) {
        const own = packets.filter((packet) => packet.of === of)
        if (extents[of].isBehind(...positions)) assert.ok(own.every(has))
        // What of one member alone there is, it knows exactly.
        else if (new Set(own.map(({ origin }) => origin)).size === 1) assert.not(own.every(has))
      }
      const merged = extents.first.copy()
      merged.merge(extents.second)
      assert.is(merged.hub, packets.length)
      if (!merged.isBehind(...positions)) return
      behind++
      assert.ok(packets.every(has))
    }),
    { numRuns: 5000 },
  )
  assert.ok(behind > 500, String(behind))
})

test('one that is known by its end alone has all packets of everybody', () => {
  const extent = new Extent(5)
  assert.not(extent.isBehind({ origin: 0, hub: 4, local: 9 }))
  assert.ok(extent.isBehind({ origin: 1, hub: 5, local: 0 }))
  extent.add({ origin: 1, hub: 7, local: 1 })
  assert.not(extent.isBehind({ origin: 1, hub: 4, local: 1 }))
  assert.ok(extent.isBehind({ origin: 1, hub: 5, local: 1 }))
})

test.run()
