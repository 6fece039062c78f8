import type { Verdict } from './checker.js'
import { ROOMS } from './contract.js'
import type { Member, Round, Session } from './record.js'

/**
 * Checks what the clients have written down: packets of a sender come in order and once, only to those whom they were
 * for, and without a gap while the client, its worker and the sender were there. Answers belong to their questions.
 */
export function checkClients({ members, sessions, asked }: Round, dropped: Readonly<Record<string, number>>): Verdict {
  const violations: string[] = []
  const missed: Record<string, number> = {}
  const counts = { packets: 0, sessions: sessions.size, missed: 0, asked: asked.size }
  for (const [key, session] of sessions) {
    const seat = session.home.split(':')[0] ?? ''
    for (const [from, numbers] of session.packets) {
      counts.packets += numbers.length
      const sender = members.get(from)
      if (!sender) {
        violations.push(`packet: client ${key} got one of ${from}, who wrote no history`)
        continue
      }
      violations.push(...inOrder(key, session, sender, numbers))
      const gaps = missing(session, sender, numbers)
      if (gaps.length === 0) continue
      missed[seat] = (missed[seat] ?? 0) + gaps.length
      if (gaps.length > (dropped[seat] ?? 0)) {
        violations.push(`packet: client ${key} at ${session.home} missed ${gaps.slice(0, 5).join(', ')}, … of ${from}`)
      }
    }
  }
  // A packet that is dropped towards a worker is missed by each of its clients in the room.
  for (const [seat, count] of Object.entries(missed)) {
    counts.missed += count
    if ((dropped[seat] ?? 0) === 0) violations.push(`packet: ${count} never came to clients of ${seat}`)
  }
  for (const [key, answers] of asked) {
    if (answers.length !== 1) violations.push(`ask: ${key} was answered ${answers.length} times`)
    for (const answer of answers) if (answer !== 'none' && answer !== key) violations.push(`ask: ${key} got ${answer}`)
  }
  return { violations, counts }
}

function isFor({ client }: Session, room: string): boolean {
  return room === '*' || room === `room-${client % ROOMS}`
}

function inOrder(key: string, session: Session, sender: Member, numbers: readonly number[]): string[] {
  const violations: string[] = []
  let last = 0
  for (const n of numbers) {
    if (n <= last) violations.push(`packet: client ${key} got ${n} of ${sender.name} after ${last}`)
    const room = sender.packets.get(n)
    if (room === undefined || !isFor(session, room)) {
      violations.push(`packet: client ${key} got ${n} of ${sender.name}, for ${room}`)
    }
    last = n
  }
  return violations
}

/**
 * For each room, from the first packet that it got there to the last that it got at all: when it came into the room is
 * known to others a moment later. A session that is not over gets a last packet of every sender, which is awaited.
 */
function missing(session: Session, sender: Member, numbers: readonly number[]): number[] {
  const got = new Set(numbers)
  const last = numbers.at(-1) as number
  const entered = new Set<string>()
  const gaps: number[] = []
  for (const [n, room] of sender.packets) {
    if (n > last) break
    if (got.has(n)) entered.add(room)
    else if (entered.has(room) && isFor(session, room)) gaps.push(n)
  }
  return gaps
}
