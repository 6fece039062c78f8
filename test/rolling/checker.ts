import { ROOMS, type Session, type Work } from './history.js'
import { isComplete, isDistinct, isIncreasing, type Run, show } from './runs.js'

/** What may have happened to whom. */
export interface Allowed {
  /** Processes whose clients may have lost their connection, for these were killed, or what they handed over to was. */
  killed: ReadonlySet<number>
}

export interface Verdict {
  violations: string[]
  counts: {
    sessions: number
    cut: number
    recovered: number
    up: number
    ticks: number
    downs: number
    answers: number
  }
}

/**
 * Checks what clients and processes have seen: each counter once and in order in both directions, each acknowledgement
 * once, and no connection broken but of those whose process was killed. Those who come back get what was sent to them
 * and to their room meanwhile, once and in order. `works`: of all processes that ended in good order, or still live.
 */
export function check(sessions: readonly Session[], works: readonly Work[], allowed: Allowed): Verdict {
  const counts = { sessions: sessions.length, cut: 0, recovered: 0, up: 0, ticks: 0, downs: 0, answers: 0 }
  const violations = works.flatMap(({ pid, wrongs }) => wrongs.map((what) => `process ${pid}: ${what}`))
  for (const session of sessions) {
    violations.push(...new SessionCheck(session, works, allowed).run())
    counts.cut += session.cuts.length
    counts.recovered += session.cuts.filter(({ recovered }) => recovered).length
    counts.up += session.sent.prompt + session.sent.late
    for (const [name, runs] of Object.entries(session.streams)) {
      const many = runs.reduce((sum, [first, last]) => sum + last - first + 1, 0)
      if (name.startsWith('tick')) counts.ticks += many
      if (name.startsWith('down')) counts.downs += many
      if (name.startsWith('question')) counts.answers += many
    }
  }
  return { violations, counts }
}

class SessionCheck {
  readonly #session: Session
  readonly #works: readonly Work[]
  readonly #allowed: Allowed
  readonly #violations: string[] = []

  constructor(session: Session, works: readonly Work[], allowed: Allowed) {
    this.#session = session
    this.#works = works
    this.#allowed = allowed
  }

  run(): string[] {
    const { wrongs } = this.#session
    for (const what of wrongs) this.#wrong(what)
    this.#connection()
    this.#own()
    for (const name of Object.keys(this.#session.streams)) this.#foreign(name)
    for (const work of this.#works) this.#completeness(work)
    return this.#violations
  }

  #wrong(what: string): void {
    const { client, kind, id } = this.#session
    this.#violations.push(`client ${client} (${kind}, ${id}): ${what}`)
  }

  #runs(name: string): readonly Run[] {
    return this.#session.streams[name] ?? []
  }

  get #wasCut(): boolean {
    return this.#session.cuts.length > 0
  }

  /** It was given up: its client has begun another one. */
  get #isLost(): boolean {
    return this.#session.cuts.some(({ recovered }) => !recovered)
  }

  #connection(): void {
    const { killed } = this.#allowed
    for (const { home, reason, hasOffset, recovered } of this.#session.cuts) {
      // It may be with any process before the first has answered.
      if (!killed.has(home) && !(home === 0 && killed.size > 0)) this.#wrong(`disconnected from ${home}: ${reason}`)
      // What it has joined, and been sent, is known to the hub. One that was sent nothing yet cannot say so, and begins anew.
      if (!recovered && hasOffset) this.#wrong(`did not recover after ${reason}`)
    }
  }

  /** What it has sent. What was under way when its connection broke may be lost, or unanswered. */
  #own(): void {
    const { sent } = this.#session
    const [ack, late, echo] = [this.#runs('ack'), this.#runs('late'), this.#runs('echo')]
    if (this.#wasCut) {
      if (!isIncreasing(ack)) this.#wrong(`acknowledgements ${show(ack)}`)
      if (!isDistinct(late)) this.#wrong(`late acknowledgements ${show(late)}`)
      if (!isIncreasing(echo)) this.#wrong(`echoes ${show(echo)}`)
      return
    }
    if (ack.length !== 1 || !isComplete(ack, 0, sent.prompt - 1)) {
      this.#wrong(`acknowledgements ${show(ack)} of ${sent.prompt}`)
    }
    const owed = [...this.#allowed.killed].some((pid) => this.#session.streams[`down ${pid}`])
    // What a killed process had still to acknowledge it never will.
    if (owed ? !isDistinct(late) : !isComplete(late, 0, sent.late - 1))
      this.#wrong(`late acknowledgements ${show(late)} of ${sent.late}`)
    // Those to what it has sent last may still be under way when it leaves.
    const closed = this.#session.closed && echo.length === 1 && echo[0]?.[0] === 0
    if (!closed && (echo.length !== 1 || !isComplete(echo, 0, sent.prompt - 1))) {
      this.#wrong(`echoes ${show(echo)} of ${sent.prompt}`)
    }
  }

  /** What a process has sent: without a gap, from the beginning if it began later than this session. */
  #foreign(name: string): void {
    const [kind, process] = name.split(' ')
    if (process === undefined) return
    const runs = this.#runs(name)
    if (kind === 'question' && this.#wasCut) {
      // Packets with acknowledgement are not sent again.
      if (!isIncreasing(runs)) this.#wrong(`${name}: ${show(runs)}`)
      return
    }
    const { settledAt } = this.#session
    const startedAt = this.#works.find(({ pid }) => pid === Number(process))?.startedAt ?? 0
    const later = kind !== 'tick' || (settledAt !== undefined && startedAt > settledAt)
    if (runs.length !== 1 || (later && runs[0]?.[0] !== 0)) this.#wrong(`${name}: ${show(runs)}`)
  }

  /** Whether all that a process has sent has come. */
  #completeness(work: Work): void {
    const { client, settledAt, closed, id } = this.#session
    if (closed || this.#isLost || settledAt === undefined) return
    const { pid, startedAt } = work
    const last = (name: string) => this.#runs(`${name} ${pid}`).at(-1)?.[1] ?? -1
    const ticks = work.ticks[client % ROOMS] ?? 0
    // What ended before it came it need not know.
    const known = startedAt > settledAt || last('tick') >= 0
    if (known && last('tick') !== ticks - 1) this.#wrong(`tick ${pid} up to ${last('tick')} of ${ticks}`)
    const { downs = 0, questions = 0, answers = 0 } = work.sockets[id] ?? {}
    if (last('down') !== downs - 1) this.#wrong(`down ${pid} up to ${last('down')} of ${downs}`)
    if (this.#wasCut) return
    if (last('question') !== questions - 1) this.#wrong(`question ${pid} up to ${last('question')} of ${questions}`)
    if (answers !== questions) this.#wrong(`${pid} asked ${questions}, and got ${answers} answers`)
  }
}
