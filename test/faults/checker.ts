import { SEATS } from './contract.js'
import { type Call, isFor, type Member, type Round } from './record.js'

/** When the hub tells of an end, and when the operating system does, are not the same moment. In milliseconds. */
const SLACK = 1500

export interface Verdict {
  violations: string[]
  counts: Record<string, number>
}

/**
 * Checks what all members have written down: order, and nothing twice; nothing lost that need not be; every call answered
 * once, by whom it was for, with what is its own. `dropped`: what the hub says it has dropped, by seat.
 */
export function check({ members, ends, wrongs }: Round, dropped: Readonly<Record<string, number>>): Verdict {
  const violations = [...wrongs]
  const counts = { events: 0, deliveries: 0, lost: 0, dropped: 0, calls: 0, delegations: 0, retried: 0 }
  for (const member of members.values()) {
    violations.push(...member.wrongs)
    violations.push(...inOrder(member))
    counts.events += member.sent.size
    for (const events of member.events.values()) counts.deliveries += events.length
  }
  for (const id of SEATS) {
    const seat = [...members.values()].filter((one) => one.id === id).sort((a, b) => a.incarnation - b.incarnation)
    let missing = 0
    for (const sender of members.values()) {
      const flow = checkFlow(sender, id, seat, furthest(sender, members))
      violations.push(...flow.violations)
      missing += flow.unexplained.length
      counts.lost += flow.lost
      if (flow.unexplained.length > (dropped[id] ?? 0)) {
        const some = flow.unexplained.slice(0, 5).join(', ')
        violations.push(
          `lost: ${flow.unexplained.length} events of ${sender.name} never came to ${id}: ${some}, …; ` +
            `${dropped[id] ?? 0} were dropped there`,
        )
      }
    }
    counts.dropped += dropped[id] ?? 0
    if (missing > (dropped[id] ?? 0)) {
      violations.push(`lost: ${missing} events never came to ${id}, where ${dropped[id] ?? 0} were dropped`)
    }
  }
  const runs = runsOf(members)
  for (const caller of members.values()) {
    for (const call of caller.calls.values()) {
      const ran = runs.get(`${caller.name}/${call.n}`) ?? []
      counts.calls++
      if (call.to === '*') counts.delegations++
      if (ran.length > 1) counts.retried++
      violations.push(...checkCall(caller, call, ran, members, ends.get(call.to) ?? []))
    }
  }
  return { violations, counts }
}

/** Each number once, and none before a smaller one. */
function inOrder(receiver: Member): string[] {
  const violations: string[] = []
  for (const [from, numbers] of receiver.arrivals) {
    for (let i = 1; i < numbers.length; i++) {
      const [before, n] = [numbers[i - 1] as number, numbers[i] as number]
      if (n > before) continue
      const what = n === before || numbers.lastIndexOf(n, i - 1) >= 0 ? 'twice' : `out of order, after ${before}`
      violations.push(`order: ${receiver.name} got ${n} of ${from} ${what}`)
    }
  }
  return violations
}

interface Flow {
  violations: string[]
  /** What went with a process that died. */
  lost: number
  /** What should have come. */
  unexplained: number[]
}

/** All that one process sent to one seat, whoever sat there. */
function checkFlow(sender: Member, id: string, seat: readonly Member[], furthest: number): Flow {
  const flow: Flow = { violations: [], lost: 0, unexplained: [] }
  const received = new Set<number>()
  /** Of each incarnation: what it got first and last, of this and of those before or after it. */
  const lasts: number[] = []
  const firsts: number[] = []
  let last = 0
  for (const receiver of seat) {
    const numbers = receiver.events.get(sender.name) ?? []
    const first = numbers[0] ?? Number.POSITIVE_INFINITY
    if (first <= last)
      flow.violations.push(`order: ${receiver.name} got ${first} of ${sender.name}, after ${last} had come`)
    for (const n of numbers) {
      if (!isFor(sender.sent.get(n) ?? 0, id)) {
        flow.violations.push(`astray: ${receiver.name} got ${n} of ${sender.name}, which was not for it`)
      }
      received.add(n)
    }
    last = Math.max(last, numbers.at(-1) ?? 0)
    lasts.push(last)
    firsts.push(first)
  }
  for (let i = firsts.length - 2; i >= 0; i--) firsts[i] = Math.min(firsts[i] as number, firsts[i + 1] as number)
  for (const [n, seats] of sender.sent) {
    if (!isFor(seats, id) || received.has(n)) continue
    // It never left its process, so nobody else got anything later either.
    if (sender.died && n > furthest) {
      flow.lost++
      continue
    }
    // It was on its way to a process that died: after all that this one got, before all that its successors got, and
    // before the sender knew of it.
    const wentWith = seat.some((receiver, i) => {
      if (!receiver.died) return false
      const known = sender.leaves.get(`${id}#${receiver.incarnation}`) ?? Number.POSITIVE_INFINITY
      return n > (lasts[i] as number) && n < (firsts[i + 1] ?? Number.POSITIVE_INFINITY) && n <= known
    })
    if (wentWith) flow.lost++
    else flow.unexplained.push(n)
  }
  return flow
}

/** The greatest number of it that anybody has got: all before that had reached the hub. */
function furthest(sender: Member, members: ReadonlyMap<string, Member>): number {
  let most = 0
  for (const { arrivals } of members.values()) most = Math.max(most, arrivals.get(sender.name)?.at(-1) ?? 0)
  return most
}

/** Who worked on which call, in the order of nothing. */
function runsOf(members: ReadonlyMap<string, Member>): Map<string, string[]> {
  const runs = new Map<string, string[]>()
  for (const { name, runs: own } of members.values()) {
    for (const [caller, numbers] of own) {
      for (const n of numbers) {
        const key = `${caller}/${n}`
        const before = runs.get(key)
        if (before) before.push(name)
        else runs.set(key, [name])
      }
    }
  }
  return runs
}

function checkCall(
  caller: Member,
  call: Call,
  ran: readonly string[],
  members: ReadonlyMap<string, Member>,
  ends: readonly number[],
): string[] {
  const violations: string[] = []
  const wrong = (why: string) => violations.push(`call: ${caller.name}/${call.n} to ${call.to} (${call.mode}): ${why}`)
  if (call.answers.length > 1) wrong(`answered ${call.answers.length} times`)
  if (call.retries === 0 && ran.length > 1) wrong(`ran ${ran.length} times`)
  for (const server of ran) {
    if (call.to !== '*' && members.get(server)?.id !== call.to) wrong(`ran at ${server}`)
  }
  const [answer] = call.answers
  if (!answer) {
    // Whoever ends takes its questions along.
    if (!caller.exit) wrong('never answered')
    return violations
  }
  const { code, by, at } = answer
  const took = at - call.askedAt
  switch (code) {
    case 'ok':
      if (!ran.includes(by)) wrong(`answered by ${by}, who did not work on it`)
      if (call.mode === 'fail') wrong('succeeded')
      break
    case 'E_PLANNED':
      if (call.mode !== 'fail') wrong('failed')
      if (ran.length === 0) wrong('failed without having run')
      break
    case 'ERR_HUB_MEMBER_EXITED':
      if (call.to === '*') wrong('was not sent again')
      else if (!ends.some((end) => end >= call.askedAt - SLACK && end <= at + SLACK))
        wrong('nobody of that seat had ended meanwhile')
      break
    case 'ERR_HUB_TIMEOUT':
      if (took < call.limit - 5) wrong(`timed out after ${took} ms`)
      else if (call.mode !== 'short') wrong(`no answer within ${call.limit} ms`)
      break
    case 'ERR_HUB_ABORTED':
      if (call.mode !== 'abort') wrong('was aborted by nobody')
      break
    case 'ERR_HUB_OVERLOADED':
      break
    case 'ERR_HUB_CLOSED':
      if (!caller.exit) wrong('its hub was not closed')
      break
    default:
      wrong(`failed with ${code}`)
  }
  return violations
}
