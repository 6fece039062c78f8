import type { AddressInfo, Server } from 'node:net'
import { checkDuration, checkNumber, checkOptions, show } from '../checks.js'
import { HubError, invalid } from '../errors.js'
import type { Listening, ListenOptions } from '../types.js'
import { connectionFrom, type Entrance } from './connection.js'
import { createRawServer, type RawHandle, remoteAddress } from './raw-handle.js'
import { Reception } from './reception.js'
import { refuse } from './refusal.js'
import { isTls, parseHead } from './request-head.js'
import type { Router } from './router.js'
import { normalisePath } from './session-path.js'
import { byAddress, type Stickiness, stickiness } from './sticky.js'

const OPTIONS: readonly (keyof ListenOptions)[] = [
  'port',
  'host',
  'role',
  'sticky',
  'path',
  'backlog',
  'maxRequestLine',
  'headTimeout',
  'maxWaiting',
  'waitTimeout',
]

/** So many connections may not have said enough yet: each costs the primary a descriptor and some kilobytes. */
const MAX_READING = 10_000

const UNKNOWN = { target: undefined, fields: '' }

/** Accepts connections on a port, and gives them to the router with what must be known of them. */
export class Listener implements Listening {
  readonly #router: Router
  readonly #entrance: Entrance
  readonly #path: string
  readonly #stickiness: Stickiness
  readonly #server: Server
  readonly #listen: { port: number; host: string | undefined; backlog: number | undefined }
  readonly #reception: Reception | undefined
  readonly #mustRead: () => boolean
  readonly #onClose: (listener: Listener) => void
  #closing: Promise<void> | undefined

  /**
   * @param hasSessions Whether any member has sessions for connections to stick to.
   * @throws {HubError} `ERR_INVALID_ARG_VALUE`
   */
  constructor(
    options: ListenOptions,
    router: Router,
    hasSessions: () => boolean,
    onClose: (listener: Listener) => void,
  ) {
    const where = 'hub.listen()'
    checkOptions(options, OPTIONS, where)
    const {
      port,
      host,
      role,
      sticky = 'socket.io',
      path = '/socket.io/',
      backlog,
      maxRequestLine,
      headTimeout,
    } = options
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      throw invalid(`${where}: port must be a whole number from 0 to 65535, not ${show(port)}.`)
    }
    if (host !== undefined && typeof host !== 'string')
      throw invalid(`${where}: host must be a string, not ${show(host)}.`)
    if (role !== undefined && typeof role !== 'string')
      throw invalid(`${where}: role must be a string, not ${show(role)}.`)
    if (typeof path !== 'string' || !path.startsWith('/')) {
      throw invalid(`${where}: path must be a string that begins with a slash, not ${show(path)}.`)
    }
    if (backlog !== undefined) checkNumber(backlog, 1, `${where}: backlog`)
    const number = (name: 'maxRequestLine' | 'maxWaiting', otherwise: number, minimum: number) =>
      options[name] === undefined ? otherwise : checkNumber(options[name], minimum, `${where}: ${name}`)
    const duration = (name: 'headTimeout' | 'waitTimeout') =>
      options[name] === undefined ? 10_000 : checkDuration(options[name], `${where}: ${name}`)
    this.#router = router
    this.#onClose = onClose
    this.#path = normalisePath(path)
    this.#stickiness = stickiness(sticky, this.#path)
    this.#entrance = {
      role,
      maxWaiting: number('maxWaiting', 10_000, 0),
      waitTimeout: duration('waitTimeout'),
      pending: 0,
      closed: false,
      warned: false,
      reading: () => this.#reception?.size ?? 0,
    }
    this.#listen = { port, host, backlog }
    this.#server = createRawServer((handle) => this.#accept(handle))
    const { reads } = this.#stickiness
    this.#reception = reads && this.#receptionFor(reads, number('maxRequestLine', 16_384, 1), duration('headTimeout'))
    const asked = maxRequestLine !== undefined || headTimeout !== undefined
    this.#mustRead = asked || sticky !== 'socket.io' ? () => true : hasSessions
  }

  /** Resolves when the port is open. Rejects with Node's own error, such as `EADDRINUSE`. */
  async start(): Promise<void> {
    const server = this.#server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.#listen, () => {
        server.off('error', reject)
        resolve()
      })
    })
    // Out of file descriptors, mostly. The others go on being served, and this one comes again.
    server.on('error', (error) => {
      process.emitWarning(
        `hub.listen(): a connection could not be accepted (${error.message}). Look at the limit of open files.`,
        'Hubwire',
      )
    })
    this.#router.open(this.#entrance, this.#path)
  }

  address(): AddressInfo {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') {
      throw new HubError('ERR_HUB_CLOSED', 'address(): this port is closed. Ask for it before close().')
    }
    return address
  }

  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#onClose(this)
      this.#reception?.close()
      this.#router.close(this.#entrance)
      this.#server.close(() => resolve())
    })
    return this.#closing
  }

  #accept(handle: RawHandle): void {
    // To read a connection costs as much as all the rest of the primary's work for it.
    if (this.#reception && this.#mustRead()) this.#reception.receive(handle)
    else this.#admit(handle, undefined)
  }

  #receptionFor(part: 'line' | 'head', maxRequestLine: number, headTimeout: number): Reception {
    return new Reception({
      part,
      maxRequestLine,
      headTimeout,
      maxReading: MAX_READING,
      onCrowded: () => this.#router.crowded(),
      onRead: (handle, bytes) => this.#admit(handle, bytes),
      onRefuse: refuse,
    })
  }

  #admit(handle: RawHandle, bytes: Buffer | undefined): void {
    const { reads, affinity } = this.#stickiness
    const remote = () => remoteAddress(handle)
    // What is encrypted can be read in the worker alone: there the request finds its session by forwarding.
    const encrypted = reads !== undefined && bytes !== undefined && isTls(bytes)
    const head = reads && bytes && !encrypted ? parseHead(bytes, reads) : UNKNOWN
    const belongs = encrypted ? byAddress(remote()) : affinity(head, remote)
    this.#router.admit(connectionFrom(this.#entrance, handle, bytes, belongs))
  }
}
