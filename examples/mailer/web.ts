/** A web worker: takes orders by HTTP, tells the other web workers, and has the mailer confirm them. */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { HubError, joinHub } from 'hubwire'
import type { Mail, Order, Shop } from './contract.js'
import { logger } from './log.js'
import { InvalidOrder, parseOrder } from './order.js'

const MAX_BODY = 16 * 1024
const port = Number(process.env.PORT ?? 3000)

const server = createServer((request, response) => {
  respond(request, response).catch((error: unknown) => fail(response, error))
})

const hub = await joinHub<Shop>({
  // Connections are taken only after `hub.ready()`, below.
  ready: 'manual',
  // The hub stops this worker: take no more connections, and let the requests in progress finish.
  onStop: () => new Promise<void>((resolve) => server.close(() => resolve())),
})
const log = logger(hub.id)

hub.on('order.created', (order) => log(`heard of order ${order.id}`))

server.on('error', (error: NodeJS.ErrnoException) => {
  console.error(
    error.code === 'EADDRINUSE'
      ? `Port ${port} is taken. Choose another: PORT=3001 npm run start:mailer`
      : error.message,
  )
  process.exit(1)
})
// Plain node:cluster: all web workers listen on the same port, and the primary deals out the connections.
server.listen(port, () => hub.ready())

async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url } = request
  if (url === '/' && method === 'GET') {
    return answer(response, 200, {
      try: 'POST /orders',
      with: { email: 'you@shop.example', items: [{ name: 'tea', quantity: 2 }] },
    })
  }
  if (url !== '/orders') return answer(response, 404, { error: `nothing is at ${url}` })
  if (method !== 'POST') {
    response.setHeader('allow', 'POST')
    return answer(response, 405, { error: 'orders are made by POST' })
  }
  const body = await readBody(request)
  if (body === undefined) {
    response.setHeader('connection', 'close')
    return answer(response, 413, { error: `an order has at most ${MAX_BODY} bytes` })
  }

  const order: Order = { id: randomUUID().slice(0, 8), ...parseOrder(body) }
  log(`took order ${order.id}`)
  hub.broadcast('order.created', order)
  try {
    const { messageId } = await hub.to(101).timeout(10_000).request('email.send', confirmationOf(order))
    answer(response, 201, { order: order.id, messageId, takenBy: hub.id })
  } catch (error) {
    const { message } = error as Error
    log(`order ${order.id} is not confirmed: ${message}`)
    answer(response, statusOf(error), { order: order.id, error: `the confirmation could not be sent: ${message}` })
  }
}

function confirmationOf({ id, email, items }: Order): Mail {
  const lines = items.map(({ name, quantity }) => `${quantity} x ${name}`)
  return { to: email, subject: `Your order ${id}`, text: lines.join('\n') }
}

/** The body as text; undefined if it is too long to be an order. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    length += chunk.length
    if (length > MAX_BODY) {
      // The rest is let through unread: who is still writing would miss an answer.
      request.resume()
      return undefined
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function fail(response: ServerResponse, error: unknown): void {
  // The client went away: nobody to answer.
  if (response.headersSent || response.destroyed) return
  if (error instanceof InvalidOrder) {
    answer(response, 400, { error: error.message, problems: error.problems })
  } else {
    console.error(error)
    answer(response, 500, { error: 'something went wrong here' })
  }
}

/** A `HubError` says that the mailer gave no answer; any other error is the mailer's own answer. */
function statusOf(error: unknown): number {
  if (!(error instanceof HubError)) return 502
  switch (error.code) {
    case 'ERR_HUB_TIMEOUT':
      return 504
    case 'ERR_HUB_PAYLOAD':
    case 'ERR_INVALID_ARG_VALUE':
      return 500
    default:
      return 503
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(`${JSON.stringify(body)}\n`)
}
