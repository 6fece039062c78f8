import assert from 'node:assert/strict'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import { check } from './checker.js'
import { checkClients } from './client-checker.js'
import { MUTATIONS, mutated } from './mutations.js'
import { read } from './record.js'
import type { ProcessRecord } from './world.js'

// What `npm run test:faults -- --mutations` shows with a library that is broken, in small.

const KILLED = { exit: { code: null, signal: 'SIGKILL' }, exitedAt: 1000 }
const PROCESSES: [string, ProcessRecord][] = [
  ['primary:1', { id: 'primary', incarnation: 1 }],
  ['web-1:2', { id: 'web-1', incarnation: 1, ...KILLED }],
  ['web-1:3', { id: 'web-1', incarnation: 2 }],
  ['web-2:4', { id: 'web-2', incarnation: 1 }],
]
/** The bits of seats. */
const [WEB_1, WEB_2] = [2, 4]

/** What is wrong with these histories. */
function verdict(histories: Record<string, string[]>, dropped: Record<string, number> = {}): string[] {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'test-checker-'))
  try {
    fs.mkdirSync(path.join(folder, '1'))
    for (const [name, lines] of Object.entries(histories)) {
      fs.writeFileSync(path.join(folder, '1', name), lines.map((line) => `${line}\n`).join(''))
    }
    const round = read(folder, 1, new Map(PROCESSES))
    return [...check(round, dropped).violations, ...checkClients(round, dropped).violations]
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
}

const sends = (seats: number, ...numbers: number[]) => numbers.map((n) => `S ${n} ${seats}`)
const gets = (...numbers: number[]) => numbers.map((n) => `e primary:1 1 ${n}`)

test('what comes once and in order is as it should be', () => {
  assert.deepEqual(verdict({ 'primary:1': sends(WEB_2, 1, 2, 3), 'web-2:4': gets(1, 2, 3) }), [])
})

test('twice, out of order, astray, lost, and told of the wrong incarnation', () => {
  const primary = sends(WEB_2, 1, 2, 3)
  const said = (own: string[]) => verdict({ 'primary:1': primary, 'web-2:4': own }).join('\n')
  assert.match(said(gets(1, 2, 2, 3)), /web-2:4 got 2 of primary:1 twice/)
  assert.match(said(gets(1, 3, 2)), /web-2:4 got 2 of primary:1 out of order, after 3/)
  assert.match(said(gets(1, 3)), /lost: 1 events of primary:1 never came to web-2: 2/)
  assert.match(said(gets(1, 2)), /lost: 1 events/)
  assert.match(said([...gets(1, 2, 3), 'e primary:1 2 4']), /told that primary:1 is incarnation 2/)
  assert.match(verdict({ 'primary:1': primary, 'web-1:3': gets(1) }).join(), /astray: web-1:3 got 1/)
})

test('what was dropped and counted is not lost, and no more than that', () => {
  const histories = { 'primary:1': sends(WEB_2, 1, 2, 3, 4), 'web-2:4': gets(1, 4) }
  assert.deepEqual(verdict(histories, { 'web-2': 2 }), [])
  assert.match(verdict(histories, { 'web-2': 1 }).join(), /lost: 2 events/)
})

test('what was on its way to a process that died may be lost, what came before or after may not', () => {
  const before = sends(WEB_1, 1, 2, 3)
  const primary = [...before, 'L web-1 1', ...sends(WEB_1, 4, 5)]
  const said = (old: number[], successor: number[]) =>
    verdict({ 'primary:1': primary, 'web-1:2': gets(...old), 'web-1:3': gets(...successor) }).join('\n')
  assert.equal(said([1], [4, 5]), '')
  assert.equal(said([1], [3, 4, 5]), '')
  assert.match(said([1, 3], [4, 5]), /lost: 1 events of primary:1 never came to web-1: 2/)
  assert.match(said([1], [3, 5]), /never came to web-1: 4/)
  assert.match(said([1], [5]), /never came to web-1: 4/)
  assert.match(said([1, 2], [2, 3, 4, 5]), /web-1:3 got 2 of primary:1, after 2 had come/)
})

test('of a sender that died the last may be missing everywhere, not in one place alone', () => {
  const dead = sends(WEB_2 | 1, 1, 2, 3)
  const get = (...numbers: number[]) => numbers.map((n) => `e web-1:2 1 ${n}`)
  const said = (primary: string[], web: string[]) =>
    verdict({ 'web-1:2': dead, 'primary:1': primary, 'web-2:4': web }).join('\n')
  assert.equal(said(get(1, 2), get(1, 2)), '')
  assert.match(said(get(1, 2), get(1)), /lost: 1 events of web-1:2 never came to web-2: 2/)
})

test('calls: answered once, by who worked on them, for a reason that there was', () => {
  const said = (to: string, retries: number, answers: string[], runs: string[], at = 5000) =>
    verdict({
      'primary:1': [`Q 1 ${to} ${retries} 100 plain ${at}`, ...answers.map((answer) => `A 1 ${answer}`)],
      'web-2:4': runs,
    }).join('\n')
  const run = 'R primary:1 1 1 0'
  assert.equal(said('web-2', 0, [`ok web-2:4 5010`], [run]), '')
  assert.match(said('web-2', 0, [], [run]), /never answered/)
  assert.match(said('web-2', 0, ['ok web-2:4 5010', 'ok web-2:4 5011'], [run]), /answered 2 times/)
  assert.match(said('web-2', 0, ['ok web-1:3 5010'], [run]), /by web-1:3, who did not work on it/)
  assert.match(said('web-2', 0, ['ok web-2:4 5010'], [run, run]), /ran 2 times/)
  assert.match(said('web-2', 0, ['ERR_HUB_MEMBER_EXITED - 5010'], [run]), /nobody of that seat had ended/)
  assert.equal(said('web-1', 0, ['ERR_HUB_MEMBER_EXITED - 1100'], [], 900), '')
  assert.match(said('*', 5, ['ERR_HUB_MEMBER_EXITED - 5010'], [run]), /was not sent again/)
  assert.match(said('web-2', 0, ['ERR_HUB_TIMEOUT - 5010'], []), /timed out after 10 ms/)
  assert.match(said('web-2', 0, ['ERR_HUB_NO_HANDLER - 5010'], []), /failed with ERR_HUB_NO_HANDLER/)
})

test('packets: once, in order, to those whom they are for, without a gap', () => {
  const primary = ['M 1 room-0', 'M 2 room-1', 'M 3 room-0', 'M 4 room-0']
  const said = (...numbers: number[]) =>
    verdict({
      'primary:1': primary,
      clients: ['O 0 1 web-2:4', ...numbers.map((n) => `P 0 1 primary:1 ${n}`)],
    }).join('\n')
  assert.equal(said(1, 3, 4), '')
  assert.match(said(1, 4), /client 0\/1 at web-2:4 missed 3, … of primary:1/)
  assert.match(said(1, 3, 3), /got 3 of primary:1 after 3/)
  assert.match(said(1, 2), /got 2 of primary:1, for room-1/)
  assert.match(verdict({ clients: ['K 0/1', 'k 0/1 0/2'] }).join(), /ask: 0\/1 got 0\/2/)
})

test('each bug that is to be planted still finds its place in the library', () => {
  const dist = fileURLToPath(new URL('../../../dist/', import.meta.url))
  assert.equal(MUTATIONS.length, 15)
  for (const mutation of MUTATIONS) mutated(fs.readFileSync(path.join(dist, mutation.file), 'utf8'), mutation)
})

test.run()
