import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Expiring, Expiry } from '#lib/tasks/expiry.js'
import { LONGEST_TIMER } from '#lib/timers.js'

/** How much too early Node's timers may fire. */
const EARLY = 0.9

interface Timer {
  at: number
  run: () => void
  held: boolean
}

/** The clock and the timers of this process, moved by hand. */
class Clock {
  now = 0
  readonly timers = new Set<Timer>()

  /** Timers that keep the process alive. */
  get held(): number {
    return [...this.timers].filter(({ held }) => held).length
  }

  forward(ms: number): void {
    const end = this.now + ms
    for (;;) {
      const [next] = [...this.timers].sort((a, b) => a.at - b.at)
      if (!next || next.at > end) break
      this.now = Math.max(this.now, next.at)
      this.timers.delete(next)
      next.run()
    }
    this.now = end
  }

  setTimeout(run: () => void, ms: number) {
    const timer = { at: this.now + Math.max(1, ms) - EARLY, run, held: true }
    const hold = (held: boolean) => {
      timer.held = held
    }
    this.timers.add(timer)
    return Object.assign(timer, { ref: () => hold(true), unref: () => hold(false) })
  }
}

/** Runs `act` with a clock of its own. */
function withClock(act: (clock: Clock) => void): void {
  const clock = new Clock()
  const { setTimeout, clearTimeout } = globalThis
  const now = performance.now
  globalThis.setTimeout = ((run: () => void, ms: number) => clock.setTimeout(run, ms)) as unknown as typeof setTimeout
  globalThis.clearTimeout = ((timer: Timer) => clock.timers.delete(timer)) as unknown as typeof clearTimeout
  performance.now = () => clock.now
  try {
    act(clock)
  } finally {
    Object.assign(globalThis, { setTimeout, clearTimeout })
    performance.now = now
  }
}

/** So many different timeouts that lanes are given up, and few enough to share one. */
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ verb: fc.constant('add' as const), n: fc.constantFrom(0, 1, 50, 51, 90) }) },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant('burst' as const), n: fc.nat(3) }) },
  { weight: 4, arbitrary: fc.record({ verb: fc.constant('remove' as const), n: fc.nat(200) }) },
  { weight: 3, arbitrary: fc.record({ verb: fc.constant('forward' as const), n: fc.nat(40) }) },
)

test('all that is not removed expires at its time, in order, and only what waits keeps the process alive', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      withClock((clock) => {
        const waiting = new Set<Expiring>()
        const due = new Map<Expiring, number>()
        const last = new Map<number, number>()
        const add = (timeout: number) => {
          const item = new Expiring(timeout)
          waiting.add(item)
          due.set(item, clock.now + timeout)
          expiry.add(item, clock.now)
        }
        const expiry = new Expiry((item) => {
          const dueAt = due.get(item) as number
          assert.ok(waiting.delete(item), 'once, and not when it was removed')
          assert.ok(dueAt - clock.now <= 1, `${dueAt - clock.now} ms early`)
          assert.ok((last.get(item.timeout) ?? 0) <= dueAt, 'out of order')
          last.set(item.timeout, dueAt)
          assert.equal([item.lane, item.before, item.after], [undefined, undefined, undefined])
          // What was told may ask again.
          if (item.timeout === 90) add(90)
        })
        for (const { verb, n } of steps) {
          if (verb === 'add') add(n)
          else if (verb === 'burst') for (let i = 0; i < 40; i++) add(100 + n * 40 + i)
          else if (verb === 'forward') clock.forward(n)
          else {
            const item = [...waiting][n % waiting.size]
            if (item) {
              expiry.remove(item)
              expiry.remove(item)
              waiting.delete(item)
              assert.equal([item.lane, item.before, item.after], [undefined, undefined, undefined])
            }
          }
          for (const item of waiting) assert.ok((due.get(item) as number) >= clock.now, 'late')
          assert.is(clock.held, new Set([...waiting].map(({ timeout }) => timeout)).size, 'held timers')
        }
        expiry.clear()
        assert.is(clock.timers.size, 0)
      })
    }),
    { includeErrorInReport: true },
  )
})

test('what is due together expires together, in the order in which it came', () => {
  withClock((clock) => {
    const items = Array.from({ length: 50 }, () => new Expiring(100))
    const expired: { item: Expiring; at: number }[] = []
    const expiry = new Expiry((item) => expired.push({ item, at: clock.now }))
    for (const item of items) expiry.add(item, clock.now)
    clock.forward(200)
    assert.is(expired.length, items.length)
    for (const [n, { item, at }] of expired.entries()) {
      assert.is(item, items[n])
      assert.is(at, 100 - EARLY)
    }
  })
})

test('calls that are all answered in time touch no timer but their first', () => {
  withClock((clock) => {
    const expiry = new Expiry(() => assert.unreachable())
    const first = new Expiring(100)
    expiry.add(first, clock.now)
    const [timer] = clock.timers
    for (let n = 0; n < 50; n++) {
      const item = new Expiring(100)
      expiry.add(item, clock.now)
      expiry.remove(item)
    }
    expiry.remove(first)
    assert.equal([...clock.timers], [timer])
    assert.is(clock.held, 0)
    clock.forward(100)
    assert.is(clock.timers.size, 0, 'nor one that goes on for nobody')
  })
})

test('what may wait longer than a timer takes never expires', () => {
  withClock((clock) => {
    const expiry = new Expiry(() => assert.unreachable())
    for (const timeout of [LONGEST_TIMER + 1, Number.POSITIVE_INFINITY]) {
      const item = new Expiring(timeout)
      expiry.add(item, clock.now)
      assert.is(clock.timers.size, 0)
      expiry.remove(item)
    }
  })
})

test.run()
