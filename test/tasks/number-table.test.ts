import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { home, NumberTable } from '#lib/tasks/number-table.js'

/** Few enough to meet again, and many that share a slot: the tables are powers of two. */
const number = fc.oneof(
  fc.nat(40),
  fc.nat(40).map((n) => n * 64),
  fc.nat(2 ** 32 - 1),
)
const step = fc.oneof(
  fc.record({ verb: fc.constant('set' as const), number }),
  fc.record({ verb: fc.constant('delete' as const), number }),
)

test('holds what a Map holds, whatever is put in and taken out', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
      const table = new NumberTable<{ n: number }>()
      const map = new Map<number, { n: number }>()
      for (const [n, { verb, number }] of steps.entries()) {
        if (verb === 'set') {
          table.set(number, { n })
          map.set(number, { n })
        } else {
          assert.is(table.delete(number), map.delete(number))
        }
        assert.is(table.size, map.size)
        assert.equal(table.get(number), map.get(number))
        assert.is(table.has(number), map.has(number))
      }
      for (const [number, item] of map) assert.equal(table.get(number), item)
      const byNumber = [...map].sort(([a], [b]) => a - b)
      assert.equal(
        table.values(),
        byNumber.map(([, item]) => item),
      )
    }),
  )
})

test('numbers one behind the other, thousands under way', () => {
  const table = new NumberTable<{ n: number }>()
  for (let n = 0; n < 20_000; n++) {
    table.set(n, { n })
    if (n >= 5000) assert.ok(table.delete(n - 5000))
  }
  assert.is(table.size, 5000)
  for (let n = 0; n < 20_000; n++) assert.is(table.get(n)?.n, n < 15_000 ? undefined : n)
})

test('numbers one behind the other stand in short rows: what ends costs no look at all others', () => {
  for (const stride of [1, 1024]) {
    for (const slots of [16, 1024, 2 ** 18]) {
      // At most half full, as the table is.
      const used = new Uint8Array(slots)
      for (let n = 0; n < slots / 2; n++) {
        let at = home((n * stride) % 2 ** 28, slots - 1)
        while (used[at]) at = (at + 1) % slots
        used[at] = 1
      }
      let longest = 0
      for (const row of used.join('').split('0')) longest = Math.max(longest, row.length)
      assert.ok(longest <= 32, `${slots} slots, stride ${stride}: a row of ${longest}`)
    }
  }
})

test('may be changed while it is gone over', () => {
  const table = new NumberTable<{ n: number }>()
  for (let n = 0; n < 100; n++) table.set(n, { n })
  const seen: number[] = []
  for (const { n } of table.values()) {
    seen.push(n)
    table.delete(n)
  }
  assert.equal(
    seen,
    Array.from({ length: 100 }, (_, n) => n),
  )
  assert.is(table.size, 0)
})

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as (options?: { type: 'minor' }) => void

test('keeps its room from batch to batch, and gives it back when it has not been needed for long', () => {
  const room = () => {
    // What the first one frees is counted only when the second one begins.
    collectGarbage()
    collectGarbage()
    return process.memoryUsage().arrayBuffers
  }
  const table = new NumberTable<object>()
  const before = room()
  for (let batch = 0; batch < 20; batch++) {
    for (let n = 0; n < 10_000; n++) table.set(n, {})
    for (let n = 0; n < 10_000; n++) table.delete(n)
    assert.ok(room() - before >= 80_000, `batch ${batch}: ${room() - before} bytes`)
  }
  for (let n = 0; n < 100_000; n++) {
    table.set(n, {})
    table.delete(n)
  }
  assert.ok(room() - before < 10_000, `${room() - before} bytes are left`)
  // Here the table itself is still in use.
  assert.is(table.size, 0)
})

test('what is over never comes into the old generation, also when the table is there', () => {
  const old = () => getHeapSpaceStatistics().find((space) => space.space_name === 'old_space')?.space_used_size ?? 0
  const table = new NumberTable<object>()
  table.set(0, {})
  // Full collections: from here on the table is in the old generation.
  collectGarbage()
  collectGarbage()
  const before = old()
  for (let n = 1; n <= 100_000; n++) {
    table.set(n, { n, some: 'call', with: 'a few fields', as: n, they: n, have: n })
    if (n > 32) table.delete(n - 32)
    if (n % 1000 === 0) collectGarbage({ type: 'minor' })
  }
  const grown = old() - before
  assert.ok(grown < 1 << 20, `${(grown / 2 ** 20).toFixed(1)} MiB`)
})

test.run()
