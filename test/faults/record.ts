import { SEATS } from './contract.js'
import { readRound } from './history.js'
import type { ProcessRecord } from './world.js'

export interface Call {
  n: number
  to: string
  retries: number
  limit: number
  mode: string
  askedAt: number
  /** More than one, if the library answers more than once. */
  answers: { code: string; by: string; at: number }[]
}

/** What one process did and saw in a round. */
export class Member {
  readonly name: string
  readonly id: string
  readonly incarnation: number
  readonly exit: ProcessRecord['exit']
  /** Events that it sent, and the bits of the seats that they were for. */
  readonly sent = new Map<number, number>()
  readonly calls = new Map<number, Call>()
  readonly packets = new Map<number, string>()
  /** Numbers of events that came, by sender. */
  readonly events = new Map<string, number[]>()
  /** Numbers of all that came in an order that counts: events, and calls. */
  readonly arrivals = new Map<string, number[]>()
  /** Calls that it began to work on, by caller. */
  readonly runs = new Map<string, number[]>()
  /** How far its own numbers were when it heard that a process of a seat had left. */
  readonly leaves = new Map<string, number>()
  readonly wrongs: string[] = []

  constructor(name: string, record: ProcessRecord) {
    this.name = name
    this.id = record.id
    this.incarnation = record.incarnation
    this.exit = record.exit
  }

  /** It ended otherwise than in good order: what it had not read, or not written yet, is lost. */
  get died(): boolean {
    return this.exit !== undefined && this.exit.code !== 0
  }
}

export interface Session {
  client: number
  home: string
  over: boolean
  packets: Map<string, number[]>
}

export interface Round {
  members: Map<string, Member>
  sessions: Map<string, Session>
  asked: Map<string, string[]>
  /** When processes of a seat have ended, those that came to write nothing included. */
  ends: Map<string, number[]>
  wrongs: string[]
}

/** Reads what all have written down in a round. */
export function read(folder: string, round: number, processes: ReadonlyMap<string, ProcessRecord>): Round {
  const result: Round = { members: new Map(), sessions: new Map(), asked: new Map(), ends: new Map(), wrongs: [] }
  for (const { id, exitedAt } of processes.values()) if (exitedAt !== undefined) push(result.ends, id, exitedAt)
  for (const { name, lines } of readRound(folder, round)) {
    if (name === 'clients') readClients(lines, result)
    else readMember(name, lines, processes, result)
  }
  return result
}

function readMember(
  name: string,
  lines: string[][],
  processes: ReadonlyMap<string, ProcessRecord>,
  { members, wrongs }: Round,
): void {
  const record = processes.get(name)
  if (!record) {
    wrongs.push(`${name} wrote a history, and was never forked`)
    return
  }
  const member = new Member(name, record)
  members.set(name, member)
  let last = 0
  for (const [kind = '', ...words] of lines) {
    const number = (at: number) => Number(words[at])
    const from = words[0] ?? ''
    switch (kind) {
      case 'S':
        last = number(0)
        member.sent.set(last, number(1))
        break
      case 'x':
        member.sent.delete(number(0))
        break
      case 'e':
        if (processes.get(from)?.incarnation !== number(1)) {
          wrongs.push(`${name} was told that ${from} is incarnation ${words[1]}`)
        }
        push(member.events, from, number(2))
        push(member.arrivals, from, number(2))
        break
      case 'R':
        push(member.runs, from, number(2))
        if (words[3] === '1') push(member.arrivals, from, number(2))
        break
      case 'Q':
        last = number(0)
        member.calls.set(last, {
          n: last,
          to: words[1] ?? '',
          retries: number(2),
          limit: number(3),
          mode: words[4] ?? '',
          askedAt: number(5),
          answers: [],
        })
        break
      case 'A':
        member.calls.get(number(0))?.answers.push({ code: words[1] ?? '', by: words[2] ?? '', at: number(3) })
        break
      case 'L':
        member.leaves.set(`${words[0]}#${words[1]}`, last)
        break
      case 'M':
        last = number(0)
        member.packets.set(last, words[1] ?? '')
        break
      case 'W':
        member.wrongs.push(`${name}: ${words.join(' ')}`)
        break
      default:
        wrongs.push(`${name} wrote ${kind} ${words.join(' ')}`)
    }
  }
}

function readClients(lines: string[][], { sessions, asked, wrongs }: Round): void {
  for (const [kind = '', ...words] of lines) {
    const key = `${words[0]}/${words[1]}`
    switch (kind) {
      case 'O':
        sessionOf(sessions, key).home = words[2] ?? ''
        break
      case 'D':
        sessionOf(sessions, key).over = true
        break
      case 'P':
        push(sessionOf(sessions, key).packets, words[2] ?? '', Number(words[3]))
        break
      case 'K':
        asked.set(words[0] ?? '', [])
        break
      case 'k':
        // Asked in the round before, perhaps.
        asked.get(words[0] ?? '')?.push(words[1] ?? '')
        break
      default:
        wrongs.push(`clients wrote ${kind}`)
    }
  }
}

function sessionOf(sessions: Map<string, Session>, key: string): Session {
  let session = sessions.get(key)
  if (!session) {
    session = { client: Number(key.split('/')[0]), home: '', over: false, packets: new Map() }
    sessions.set(key, session)
  }
  return session
}

function push(lists: Map<string, number[]>, key: string, n: number): void {
  const list = lists.get(key)
  if (list) list.push(n)
  else lists.set(key, [n])
}

export const isFor = (seats: number, id: string) => (seats & (1 << SEATS.indexOf(id as (typeof SEATS)[number]))) !== 0
