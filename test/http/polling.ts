import type http from 'node:http'
import * as assert from 'uvu/assert'
import { fetch } from './harness.js'

/** A Socket.IO session over polling, packet by packet, on whatever connections its caller likes. */
export class Polling {
  readonly #port: number
  sid = ''
  agent: http.Agent | false = false

  constructor(port: number) {
    this.#port = port
  }

  static async open(port: number, agent: http.Agent | false = false): Promise<Polling> {
    const session = new Polling(port)
    session.agent = agent
    const opened = await session.get()
    session.sid = JSON.parse(opened.slice(1)).sid
    assert.is(await session.post('40'), 'ok')
    assert.match(await session.get(), /^40/)
    return session
  }

  get target(): string {
    return `/socket.io/?EIO=4&transport=polling${this.sid && `&sid=${this.sid}`}`
  }

  /** The address in the session's id, as text. */
  get address(): string {
    return this.sid.split('.')[0] as string
  }

  async get(): Promise<string> {
    const { status, body } = await fetch(this.#port, this.target, { agent: this.agent })
    assert.is(status, 200, body)
    return body
  }

  async post(body: string): Promise<string> {
    const headers = { 'content-type': 'text/plain;charset=UTF-8' }
    const answer = await fetch(this.#port, this.target, { agent: this.agent, method: 'POST', body, headers })
    assert.is(answer.status, 200, answer.body)
    return answer.body
  }

  async echo(value: unknown): Promise<void> {
    assert.is(await this.post(`42${JSON.stringify(['echo', value])}`), 'ok')
    assert.is(await this.get(), `42${JSON.stringify(['echo', value])}`)
  }
}
