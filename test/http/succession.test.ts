import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Succession } from '#lib/http/succession.js'

/** Where the sessions of an address come to, and where those are that have not, when these serve. */
const at = (succession: Succession, address: number, ...serving: number[]) => {
  const serves = (one: number) => serving.includes(one)
  return [succession.last(address, serves), succession.first(address, serves)]
}

test('sessions come to whoever took over last, and what was not handed on yet is where it was', () => {
  const succession = new Succession()
  succession.add(1, 2)
  assert.equal(at(succession, 1, 1), [1, 1], 'the second does not serve yet')
  assert.equal(at(succession, 1, 1, 2), [2, 1])
  assert.equal(at(succession, 1, 2), [2, 2])
  assert.equal(at(succession, 7, 1, 2, 7), [7, 7], 'nobody took over')
  assert.equal(at(succession, 7, 1, 2), [undefined, undefined], 'it is gone')
  succession.add(2, 3)
  assert.equal(at(succession, 1, 2, 3), [3, 2], 'the second is about to hand them on')
  assert.equal(at(succession, 1, 3), [3, 3])
  assert.equal(at(succession, 2, 3), [3, 3])
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
  assert.equal(at(told, 1, 50), [50, 50])
  assert.is(told.pairs.length, 49)
})

test('the oldest are forgotten after a thousand, and those of all others still lead to who has their sessions', () => {
  const succession = new Succession()
  for (let address = 1; address <= 1500; address++) {
    succession.add(address, address + 1)
    succession.forget(address)
  }
  assert.is(succession.pairs.length, 1000)
  assert.equal(at(succession, 500, 1501), [undefined, undefined])
  assert.equal(at(succession, 501, 1501), [1501, 1501])
})

test.run()
