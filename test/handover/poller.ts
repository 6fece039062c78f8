import assert from 'node:assert/strict'
import http from 'node:http'
import { until } from '../reload/app.js'

const SEPARATOR = '\x1e'

/** A Socket.IO client that polls, request by request, over one kept-alive connection for each of polls and posts. */
export class Poller {
  readonly #port: number
  readonly agent: http.Agent
  sid = ''
  /** What came in Socket.IO's packets. */
  readonly packets: string[] = []
  /** Answers to polls, as they came. */
  readonly answers: string[] = []
  readonly wrong: string[] = []
  /** No poll is begun any more. */
  paused = false
  polling = false
  #posts: Promise<unknown> = Promise.resolve()

  constructor(port: number, agent = new http.Agent({ keepAlive: true, maxSockets: 2 })) {
    this.#port = port
    this.agent = agent
  }

  get path(): string {
    return `/socket.io/?EIO=4&transport=polling${this.sid && `&sid=${this.sid}`}`
  }

  /** Opens a session, comes to the namespace, and goes on polling. */
  async connect(): Promise<void> {
    this.sid = JSON.parse((await this.get()).slice(1)).sid
    this.poll()
    this.send('40')
    await until(() => this.packets.some((packet) => packet.startsWith('40{')), 'connected')
    this.packets.length = 0
  }

  /** One poll after the other. */
  async poll(): Promise<void> {
    if (this.polling) return
    this.polling = true
    try {
      while (!this.paused) {
        const answer = await this.get()
        this.answers.push(answer)
        for (const packet of answer.split(SEPARATOR)) {
          if (packet === '2') this.send('3', '')
          else if (packet !== '6') this.packets.push(packet)
        }
      }
    } catch (error) {
      if (!this.paused) this.wrong.push(`poll: ${(error as Error).message}`)
    }
    this.polling = false
  }

  /** Posts packets, behind what was posted before. */
  send(packet: string, type = ''): Promise<unknown> {
    const posted = this.#posts.then(() => this.request('POST').whole(`${type}${packet}`))
    this.#posts = posted.catch((error) => this.wrong.push(`post: ${error.message}`))
    return this.#posts
  }

  get(): Promise<string> {
    return this.request('GET').whole()
  }

  request(method: 'GET' | 'POST', query = ''): Exchange {
    return new Exchange({ port: this.#port, path: this.path + query, agent: this.agent, method })
  }

  close(): void {
    this.paused = true
    this.agent.destroy()
  }
}

/** One request, written as its test likes. */
export class Exchange {
  readonly request: http.ClientRequest
  readonly answer: Promise<string>

  constructor(options: http.RequestOptions) {
    const headers = options.method === 'POST' ? { 'content-type': 'text/plain;charset=UTF-8' } : {}
    this.request = http.request({ host: '127.0.0.1', headers, ...options })
    this.answer = new Promise((resolve, reject) => {
      this.request.on('error', reject)
      this.request.on('response', (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk) => {
          text += chunk
        })
        response.on('error', reject)
        response.on('end', () => {
          if (response.statusCode === 200) resolve(text)
          else reject(new Error(`${options.method}: ${response.statusCode} ${text}`))
        })
      })
    })
    // It is awaited when its time has come.
    this.answer.catch(() => {})
  }

  whole(body?: string): Promise<string> {
    this.request.end(body)
    return this.answer
  }
}

/** Nothing went wrong for any of them. */
export function assertFine(...pollers: readonly Poller[]): void {
  for (const { wrong } of pollers) assert.deepEqual(wrong, [])
}

/** The one that a test is about, and another, which shows by moving that it is its turn. */
export async function twoPollers(port: number): Promise<[Poller, Poller]> {
  const client = new Poller(port)
  const other = new Poller(port)
  await client.connect()
  await other.connect()
  return [client, other]
}
