import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Succession } from '#lib/http/succession.js'

/** Where the sessions of an address are, when these still serve. */
const at = (succession: Succession, address: number, ...serving: number[]) =>
  succession.resolve(address, (one) => serving.includes(one))

test('sessions are where they were opened, until that one serves no more; then with whoever took over', () => {
  const succession = new Succession()
  succession.add(1, 2)
  assert.is(at(succession, 1, 1, 2), 1)
  assert.is(at(succession, 1, 2), 2)
  assert.is(at(succession, 7, 1, 2), 7, 'nobody took over')
  succession.add(2, 3)
  assert.is(at(succession, 1, 2, 3), 2, 'the second is about to hand them on')
  assert.is(at(succession, 1, 3), 3)
  assert.is(at(succession, 2, 3), 3)
})

test('who is gone is left out of the chain; with one that has no successor end the sessions that it had', () => {
  const succession = new Succession()
  succession.add(1, 2)
  succession.add(2, 3)
  succession.forget(2)
  assert.equal(succession.pairs, [
    [1, 3],
    [2, 3],
  ])
  succession.forget(3)
  assert.equal(succession.pairs, [])
})

test('as it is told to the members', () => {
  const succession = new Succession()
  for (let address = 1; address < 50; address++) {
    succession.add(address, address + 1)
    succession.forget(address)
  }
  const told = new Succession(succession.pairs)
  assert.is(at(told, 1, 50), 50)
  assert.is(told.pairs.length, 49)
})

test.run()
