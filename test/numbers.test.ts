import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { nextNumber } from '#lib/numbers.js'
import { MAX_CALL } from '#lib/tasks/pending.js'

test('numbers begin anew after the last, and skip those in use', () => {
  assert.is(nextNumber(-1, 0, MAX_CALL, new Set()), 0)
  assert.is(nextNumber(MAX_CALL - 1, 0, MAX_CALL, new Set([0, 1])), MAX_CALL)
  assert.is(nextNumber(MAX_CALL, 0, MAX_CALL, new Set([0, 1, 3])), 2)
  assert.is(nextNumber(MAX_CALL - 1, 1, MAX_CALL, new Set([MAX_CALL, 1])), 2)
})

test('no number is given while it is in use, and each comes again', () => {
  const FIRST = 1
  const END = 8
  // Of the calls under way, in their order, one ends; or another begins.
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(END)), { maxLength: 100 }), (steps) => {
      const used = new Set<number>()
      let last = 0
      for (const step of steps) {
        if (step !== null) {
          used.delete([...used][step % used.size] ?? 0)
        } else if (used.size < END - FIRST) {
          const free = Array.from({ length: END }, (_, n) => ((last + n) % END) + FIRST).filter((n) => !used.has(n))
          last = nextNumber(last, FIRST, END, used)
          assert.is(last, free[0])
          used.add(last)
        }
      }
    }),
  )
})

test('call numbers are small integers of V8 everywhere', () => {
  assert.is(MAX_CALL, 2 ** 28 - 1)
})

test.run()
