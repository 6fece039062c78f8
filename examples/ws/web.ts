/** A web worker: the page, and the WebSockets of those who bid and watch. */
import { createServer } from 'node:http'
import { handoverOf, joinHub } from 'hubwire'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Auction, Bid, Bidder } from './contract.js'
import { PAGE } from './page.js'

/** So many are kept, for clients that are on their way from one process to the next. */
const KEPT = 1000

const hub = await joinHub<Auction>()
const server = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(PAGE)
})
const wss = new WebSocketServer({ server, maxPayload: 1024 })
const bidders = new WeakMap<WebSocket, Bidder>()
const bids: Bid[] = []

// At a deploy the clients go to the next process with their connections, and what is known of them with them.
hub.serve(server, { webSockets: wss, onHandover: (ws) => bidders.get(ws) })

hub.on('bid', (bid) => {
  bids.push(bid)
  if (bids.length > KEPT) bids.shift()
  for (const ws of wss.clients) show(ws, bid)
})

wss.on('connection', (ws) => {
  // Undefined for one that has connected here: it is shown what comes from now on.
  const known = handoverOf(ws)?.state as Bidder | undefined
  const bidder = known ?? {
    name: `bidder ${Math.random().toString(36).slice(2, 6)}`,
    seen: bids.at(-1)?.n ?? 0,
    bids: 0,
  }
  bidders.set(ws, bidder)
  ws.send(JSON.stringify({ you: bidder.name, pid: process.pid, bids: bidder.bids }))
  // What came while it was on its way here.
  for (const bid of bids) show(ws, bid)

  ws.on('error', () => ws.terminate())
  ws.on('message', (data) => {
    const amount = Number(data)
    if (!Number.isSafeInteger(amount)) return ws.close(1007, 'bid a whole number')
    bidder.bids++
    hub.to('primary').emit('offer', bidder.name, amount)
  })
})

/** Each bid once, and in order. */
function show(ws: WebSocket, bid: Bid): void {
  const bidder = bidders.get(ws)
  if (!bidder || bid.n <= bidder.seen) return
  bidder.seen = bid.n
  ws.send(JSON.stringify(bid))
}
