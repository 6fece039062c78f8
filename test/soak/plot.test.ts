import assert from 'node:assert/strict'
import { test } from 'uvu'
import { niceStep, percentile, plot, slope } from './plot.js'

test('the slope is that of the line that fits best, whatever lies between', () => {
  assert.equal(slope([0, 1, 2, 3], [5, 5, 5, 5]), 0)
  assert.equal(slope([10, 20, 30], [1, 21, 41]), 2)
  assert.ok(Math.abs(slope([0, 1, 2, 3], [0, 2, 1, 3]) - 0.8) < 1e-9)
  assert.equal(slope([], []), 0)
})

test('steps are such as people choose', () => {
  assert.deepEqual([0.7, 1, 1.2, 3, 7, 60, 0.013].map(niceStep), [1, 1, 2, 5, 10, 100, 0.02])
})

test('percentiles are values that there were', () => {
  assert.equal(percentile([3, 1, 2], 0.5), 2)
  assert.equal(percentile([3, 1, 2], 0.99), 3)
  assert.equal(percentile([], 0.5), 0)
})

test('all points lie within the picture, also those that are cut off', () => {
  const values = [1, 2, 100]
  const svg = plot(
    'A & B <1>',
    [0, 60, 120],
    [{ title: 'T', unit: 's', series: [{ name: 'a', colour: 'red', values }], top: 4 }],
  )
  const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)?.map(Number) ?? []
  const points =
    /points="([^"]+)"/
      .exec(svg)?.[1]
      ?.split(' ')
      .map((point) => point.split(',').map(Number)) ?? []
  assert.equal(points.length, 3)
  for (const [x = -1, y = -1] of points) assert.ok(x >= 0 && x <= (width ?? 0) && y >= 0 && y <= (height ?? 0))
  assert.match(svg, /A &amp; B &lt;1>/)
  assert.ok(!svg.includes('NaN'))
})

test.run()
