/** A web worker: the page, the login, `POST /publish`, and the tabs that the hub gives to it. */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { HubError, joinHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import type { Chat } from './contract.js'
import { BadInput, loginInput, parse, publishInput, readJson } from './input.js'
import { Login } from './login.js'
import { SECURITY_HEADERS, servePage } from './pages.js'
import { readRelease } from './release.js'
import { type ChatServer, onHandover, serveTabs } from './sockets.js'

const hub = await joinHub<Chat>()
const login = new Login(process.env.CHAT_SECRET)
const server = createServer((request, response) => {
  respond(request, response).catch((error: unknown) => fail(response, error))
})
// The port is the primary's: it gives this server its share of the connections.
hub.serve(server)
const io: ChatServer = new Server(server, { maxHttpBufferSize: 16 * 1024 })
attachSocketIo(io, hub, { onHandover })
serveTabs(io, hub, login, readRelease(process.env.CHAT_RELEASE))

async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value)
  const { method = '', url = '/' } = request
  const pathname = url.split('?', 1)[0] ?? '/'
  if (pathname === '/login' || pathname === '/publish') {
    if (method !== 'POST') return refuse(response, 405, 'use POST', { allow: 'POST' })
    const body = await readJson(request)
    return pathname === '/login' ? logIn(response, body) : publish(response, body)
  }
  if (method !== 'GET' && method !== 'HEAD') return refuse(response, 405, 'use GET', { allow: 'GET, HEAD' })
  if (!servePage(request, response, pathname)) refuse(response, 404, 'there is nothing here')
}

function logIn(response: ServerResponse, body: unknown): void {
  const { name } = parse(loginInput, body)
  answer(response, 200, { name, token: login.issue(name) })
}

/** Whoever reaches the port may say something, as whoever reaches it may log in. A real app asks for a key here. */
async function publish(response: ServerResponse, body: unknown): Promise<void> {
  const { from, text } = parse(publishInput, body)
  const draft = { from, text, via: hub.id, key: randomUUID(), published: true as const }
  const { id } = await hub.to('keeper').timeout(5000).request('say', draft)
  answer(response, 201, { id, via: hub.id })
}

function fail(response: ServerResponse, error: unknown): void {
  // The client went away: nobody to answer.
  if (response.headersSent || response.destroyed) return
  if (error instanceof BadInput) {
    refuse(response, error.status, error.message)
  } else {
    console.error(error)
    if (error instanceof HubError) refuse(response, 503, error.message)
    else refuse(response, 500, 'something went wrong here')
  }
}

function refuse(response: ServerResponse, status: number, error: string, headers: Record<string, string> = {}): void {
  answer(response, status, { error }, headers)
}

function answer(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers })
  response.end(`${JSON.stringify(body)}\n`)
}
