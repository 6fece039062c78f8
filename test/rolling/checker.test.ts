import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Allowed, check } from './checker.js'
import type { Session, Work } from './history.js'
import { type Run, Runs } from './runs.js'

const NOTHING: Allowed = { killed: new Set() }

/** Process 1 was there before the client, process 2 began later. */
function setting(): { session: Session; works: [Work, Work] } {
  const session: Session = {
    client: 3,
    kind: 'websocket',
    id: 'a',
    home: 2,
    settledAt: 100,
    closed: false,
    cuts: [],
    sent: { prompt: 10, late: 3 },
    streams: {
      ack: [[0, 9]],
      late: [
        [1, 2],
        [0, 0],
      ],
      echo: [[0, 9]],
      'tick 1': [[40, 59]],
      'tick 2': [[0, 19]],
      'down 1': [[0, 4]],
      'down 2': [[0, 6]],
      'question 1': [[0, 1]],
    },
    wrongs: [],
  }
  const work = (pid: number, startedAt: number, tick: number, downs: number, questions: number): Work => ({
    pid,
    startedAt,
    ticks: [0, 0, 0, tick],
    sockets: { a: { downs, questions, answers: questions } },
    wrongs: [],
  })
  return { session, works: [work(1, 50, 60, 5, 2), work(2, 150, 20, 7, 0)] }
}

test('what is as it should be is found to be', () => {
  const { session, works } = setting()
  assert.equal(check([session], works, NOTHING).violations, [])
})

const HARM: Record<string, (session: Session, works: [Work, Work]) => void> = {
  'an acknowledgement is missing': ({ streams }) => streams.ack?.splice(0, 1, [0, 8]),
  'an acknowledgement comes twice': ({ streams }) => streams.ack?.push([9, 9]),
  'a late acknowledgement is missing': ({ streams }) => streams.late?.pop(),
  'a late acknowledgement comes twice': ({ streams }) => streams.late?.push([2, 2]),
  'acknowledgements change places': ({ streams }) => streams.ack?.splice(0, 1, [0, 4], [6, 9], [5, 5]),
  'an echo is missing in the middle': ({ streams }) => streams.echo?.splice(0, 1, [0, 4], [6, 9]),
  'the last echo is missing': ({ streams }) => streams.echo?.splice(0, 1, [0, 8]),
  'a packet to the room is missing': ({ streams }) => streams['tick 1']?.splice(0, 1, [40, 45], [47, 59]),
  'the first of a new process is missing': ({ streams }) => streams['tick 2']?.splice(0, 1, [1, 19]),
  'the last of a process is missing': ({ streams }) => streams['tick 1']?.splice(0, 1, [40, 58]),
  'a new process is not heard at all': ({ streams }) => delete streams['tick 2'],
  'a packet to the socket comes twice': ({ streams }) => streams['down 2']?.push([6, 6]),
  'one is missing': ({ streams }) => streams['down 2']?.splice(0, 1, [0, 5]),
  'a question is missing': ({ streams }) => delete streams['question 1'],
  'an answer is missing': (_, [work]) => Object.assign(work.sockets.a ?? {}, { answers: 1 }),
  'the connection breaks': ({ cuts }) =>
    cuts.push({ home: 2, reason: 'transport close', hasOffset: true, recovered: true }),
  'bytes are others': ({ wrongs }) => wrongs.push('echo 1 with other bytes'),
  'a process sees what it must not': (_, [work]) => work.wrongs.push('a gap'),
}
for (const [what, harm] of Object.entries(HARM)) {
  test(`found: ${what}`, () => {
    const { session, works } = setting()
    harm(session, works)
    assert.ok(check([session], works, NOTHING).violations.length > 0)
  })
}

test('who was with a process that was killed may be cut off, and is to recover', () => {
  const { session, works } = setting()
  const [work] = works
  const allowed: Allowed = { ...NOTHING, killed: new Set([2]) }
  session.cuts.push({ home: 2, reason: 'transport close', hasOffset: true, recovered: true })
  session.streams.ack = [
    [0, 5],
    [7, 9],
  ]
  session.streams.late = [[0, 0]]
  assert.equal(check([session], [work], allowed).violations, [])
  session.cuts[0] = { home: 2, reason: 'transport close', hasOffset: true, recovered: false }
  assert.is(check([session], [work], allowed).violations.length, 1)
  session.cuts[0] = { home: 2, reason: 'transport close', hasOffset: false, recovered: false }
  assert.equal(check([session], [work], allowed).violations, [])
  session.cuts[0] = { home: 1, reason: 'transport close', hasOffset: true, recovered: true }
  assert.is(check([session], [work], allowed).violations.length, 1)
  session.cuts[0] = { home: 2, reason: 'transport close', hasOffset: true, recovered: true }
  session.streams['tick 1'] = [
    [40, 45],
    [47, 59],
  ]
  assert.is(check([session], [work], allowed).violations.length, 1)
})

test('consecutive numbers are one run', () => {
  const runs = new Runs()
  for (const n of [3, 4, 5, 5, 6, 1]) runs.add(n)
  const expected: Run[] = [
    [3, 5],
    [5, 6],
    [1, 1],
  ]
  assert.equal(runs.list, expected)
})

test.run()
