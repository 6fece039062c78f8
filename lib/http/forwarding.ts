import type { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Member } from '../member.js'
import type { HttpServerAt, HttpServers, HttpToHub } from '../relay/control.js'
import { forward } from './forwarded-request.js'
import { Progress } from './progress.js'
import { detach, hasUnfinishedAnswer } from './raw-handle.js'
import { isOver, onceOver } from './request-end.js'
import { addressOf } from './session-id.js'
import { isBelow, sessionOf } from './session-path.js'
import { Succession } from './succession.js'
import { connectTo, headBytes, introduction, readIntroduction, requestTo, withoutIntroduction } from './upstream.js'

/** How often members are asked again to answer polls that came by here, in milliseconds. */
const RELEASE = 100

/** What becomes of a request: another member serves it, or this one, or nobody knows yet. */
type Decision = HttpServerAt | 'local' | { readonly after: Promise<void> }

/** A poll that another member answers. */
interface ForwardedPoll {
  readonly owner: HttpServerAt
  readonly url: string
  readonly socket: Socket
  /** The owner has been asked to answer it, and has not said anything to that yet. */
  asked: boolean
}

/**
 * Requests of sessions that live in another member. A connection is routed once, by its first request; what comes on it
 * later may belong elsewhere. Such a request goes to its owner's private socket, and the answer comes back here. Those of
 * a session that is moving wait until it has arrived.
 */
export class Forwarding {
  readonly #member: Member
  readonly #servers = new Map<number, HttpServerAt>()
  #succession = new Succession()
  #paths: readonly string[] = []
  #secret = ''
  #warned = false
  #warnedOfPath = false
  readonly #polls = new Set<ForwardedPoll>()
  /** The connections of this member go to another one, and to that address. */
  #leaving: NodeJS.Timeout | undefined
  #successor: number | undefined
  /** Requests that this member itself is working on. */
  readonly progress = new Progress()

  constructor(member: Member) {
    this.#member = member
  }

  update({ paths, servers, successors, secret }: HttpServers): void {
    this.#paths = paths
    this.#succession = new Succession(successors)
    this.#secret = secret
    this.#servers.clear()
    for (const server of servers) this.#servers.set(server.address, server)
  }

  /** Open polls that nobody needs to wait for. */
  get polls(): number {
    return this.progress.polls + (this.#leaving ? 0 : this.#polls.size)
  }

  /**
   * From now on no poll stays open that came on a connection of this member and that another one answers, and sessions are
   * opened in the member with that address: here they might come too late to be handed over.
   */
  leave(to: number): void {
    if (this.#leaving) return
    this.#successor = to
    const release = () => {
      for (const poll of this.#polls) this.#release(poll)
    }
    this.#leaving = setInterval(release, RELEASE).unref()
    release()
  }

  /** Whether it was taken care of. `local` has this member's own listeners handle it. */
  request(req: IncomingMessage, res: ServerResponse, event: string, local: () => void): boolean {
    const { url = '' } = req
    const id = this.#sessionOf(url)
    if (id === undefined && !this.#paths.some((path) => isBelow(path, url))) return false
    const came = readIntroduction(req, this.#secret)
    if (id === undefined) return this.#open(req, res, came !== undefined, local)
    if (came?.wish === 'release') {
      this.#member.sessions?.release(id)
      res.writeHead(204).end()
      return true
    }
    const isPoll = req.method === 'GET'
    let waited = false
    const go = (failed?: number): boolean => {
      const decision = this.#decide(id, isPoll, came !== undefined)
      if (decision === 'local' || ('address' in decision && decision.address === failed)) {
        if (isPoll) this.progress.poll(res)
        else this.progress.request(id, res)
        if (came?.wish === 'hurry') this.#member.sessions?.release(id, req)
        if (waited) local()
        return waited
      }
      waited = true
      if ('after' in decision) {
        decision.after.then(() => isOver(res) || go())
      } else {
        if (event === 'checkContinue') res.writeContinue()
        this.#forward(decision, req, res, (busy) => go(busy ? undefined : decision.address))
      }
      return true
    }
    return go()
  }

  /** Whether it was taken care of. `local` has this member's own listeners handle it. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer, local: () => void): boolean {
    const { url = '' } = req
    const id = this.#sessionOf(url)
    if (id === undefined && !this.#paths.some((path) => isBelow(path, url))) return false
    const came = readIntroduction(req, this.#secret) !== undefined
    let waited = false
    const onError = () => socket.destroy()
    const go = (): boolean => {
      // Opened elsewhere, a connection whose TLS ends here would end with this process all the same, and not be counted.
      const opener = () => ('encrypted' in socket ? 'local' : this.#opener(came))
      const decision = id === undefined ? opener() : this.#decide(id, false, came)
      if (decision !== 'local' && 'after' in decision) {
        if (!waited) socket.on('error', onError)
        waited = true
        decision.after.then(() => socket.destroyed || go())
        return true
      }
      socket.off('error', onError)
      // Behind an answer that is still to come there is no moment at which the connection could leave.
      if (decision === 'local' || !(socket instanceof Socket) || hasUnfinishedAnswer(socket)) {
        this.progress.upgrade(id, socket)
        if (waited) local()
        return waited
      }
      this.#move(decision, req, socket, head)
      return true
    }
    return go()
  }

  /** Nothing else would tell of a path that `hub.listen()` does not know: clients see unknown sessions for ever. */
  sessionOpened(url: string): void {
    // One server alone has all sessions, wherever they are looked for.
    if (this.#warnedOfPath || this.#servers.size < 2 || this.#paths.some((path) => isBelow(path, url))) return
    this.#warnedOfPath = true
    const paths = this.#paths.map((path) => JSON.stringify(`${path}/`)).join(' and ')
    process.emitWarning(
      `hub.listen(): a Socket.IO session was opened at ${JSON.stringify(url.replace(/\?.*/, ''))}, and sessions are looked ` +
        `for below ${paths} only. Its next request may reach a worker that does not know it. Give hub.listen({ path }) ` +
        'the path that the Socket.IO server has.',
      'Hubwire',
    )
  }

  /** The session id that a request names, ours or not. */
  #sessionOf(url: string): string | undefined {
    for (const path of this.#paths) {
      const id = sessionOf(path, url)
      if (id !== undefined) return id
    }
    return undefined
  }

  /** Nothing else would tell of an `attachSocketIo()` that was forgotten: clients see unknown sessions now and then. */
  #warn(): void {
    // One server alone knows all its sessions, whatever they are called.
    if (this.#warned || this.#servers.size < 2) return
    this.#warned = true
    process.emitWarning(
      'hub.serve(): a request names a Socket.IO session that no member of the hub has opened. Call attachSocketIo(io, ' +
        'hub) in every worker that serves Socket.IO. If you do, the client made it up, or is older than the hub.',
      'Hubwire',
    )
  }

  /** `came`: another member has forwarded it. */
  #decide(id: string, isPoll: boolean, came: boolean): Decision {
    const found = this.#member.sessions?.find(id, isPoll)
    if (found === 'here') return 'local'
    if (found) return 'after' in found ? found : (this.#servers.get(found.at) ?? 'local')
    const address = addressOf(id)
    if (address === undefined) {
      this.#warn()
      return 'local'
    }
    const { address: self } = this.#member
    const serves = (one: number) => this.#servers.has(one)
    const last = this.#succession.last(address, serves)
    if (last === undefined) return 'local'
    // Who forwarded it knew better.
    if (last !== self) return came || address === self ? 'local' : (this.#servers.get(last) ?? 'local')
    // This one takes over. What has not come yet is where it was.
    const first = this.#succession.first(address, serves)
    return first === undefined || first === self ? 'local' : (this.#servers.get(first) ?? 'local')
  }

  /** Who opens new sessions. */
  #opener(came: boolean): HttpServerAt | 'local' {
    const next = came || this.#successor === undefined ? undefined : this.#servers.get(this.#successor)
    return next ?? 'local'
  }

  /** A request that may open a session. Whether it was taken care of. */
  #open(req: IncomingMessage, res: ServerResponse, came: boolean, local: () => void): boolean {
    const opener = this.#opener(came)
    if (opener !== 'local' && req.method === 'GET') {
      this.#forward(opener, req, res, () => this.#open(req, res, true, local) || local())
      return true
    }
    this.progress.request(undefined, res)
    return false
  }

  #forward(owner: HttpServerAt, req: IncomingMessage, res: ServerResponse, failed: (busy: boolean) => void): void {
    const { method, url = '', socket } = req
    const isPoll = method === 'GET' && this.#sessionOf(url) !== undefined
    const poll = { owner, url, socket, asked: false }
    if (isPoll) {
      this.#polls.add(poll)
      onceOver(res, () => this.#polls.delete(poll))
    }
    const wish = isPoll && this.#leaving ? 'hurry' : undefined
    forward(owner, req, res, introduction(this.#secret, socket, wish), (busy) => {
      this.#polls.delete(poll)
      failed(busy)
    })
  }

  /** The connection goes to its owner, through the hub; or, where it cannot, its bytes do. */
  #move(owner: HttpServerAt, req: IncomingMessage, socket: Socket, head: Buffer): void {
    const onError = () => socket.destroy()
    socket.on('error', onError)
    const go = () => {
      // Answers to earlier requests may still be on their way out.
      if (socket.writableLength > 0) {
        socket.write('', go)
        return
      }
      const unread: unknown = socket.read()
      const bytes = unread instanceof Buffer ? Buffer.concat([head, unread]) : head
      const handle = detach(socket)
      if (handle) {
        const message: HttpToHub = { t: 'route', to: owner.address }
        const whole = Buffer.concat([headBytes(req, req.rawHeaders), bytes])
        this.#member.handles.add({ body: JSON.stringify(message), bytes: whole, handle })
      } else if (!socket.destroyed) {
        this.#tunnel(owner, req, socket, bytes)
      }
    }
    go()
  }

  #tunnel(owner: HttpServerAt, req: IncomingMessage, socket: Socket, head: Buffer): void {
    const upstream = connectTo(owner)
    upstream.on('error', () => socket.destroy())
    upstream.write(headBytes(req, [...introduction(this.#secret, socket), ...withoutIntroduction(req.rawHeaders)]))
    upstream.write(head)
    upstream.pipe(socket)
    socket.pipe(upstream)
    socket.once('close', () => upstream.destroy())
    // What the owner said before it went is perhaps still on its way to the client.
    upstream.once('close', () => socket.destroySoon())
  }

  /** Has the owner answer a poll at once. */
  #release(poll: ForwardedPoll): void {
    if (poll.asked) return
    const { owner, url, socket } = poll
    const headers = ['Host', 'hubwire', 'Connection', 'close', ...introduction(this.#secret, socket, 'release')]
    const asking = requestTo(owner, { path: url, headers })
    asking.once('response', (answer) => answer.resume())
    // It is asked again.
    asking.on('error', () => {})
    asking.once('close', () => {
      poll.asked = false
    })
    poll.asked = true
    asking.end()
  }
}
