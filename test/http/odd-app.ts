import { createHash } from 'node:crypto'
import http, { type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import https from 'node:https'

/** What happened at a server of these, so far. */
export interface Seen {
  /** Requests that came, that were answered, and that broke off before they were. */
  begun: number
  finished: number
  aborted: number
  /** Bytes of bodies that were read, and that were written and left this process or wait in the kernel. */
  read: number
  written: number
}

const CHUNK = Buffer.alloc(16_384, 'x')

/**
 * An HTTP server that answers in all the ways that one can: what to do stands in the parameter `do` of the target. So
 * what comes directly and what was forwarded can be compared.
 */
export function createOddApp(
  who: () => string,
  options: ServerOptions & { key?: Buffer; cert?: Buffer } = {},
): { server: Server; seen: Seen } {
  const seen: Seen = { begun: 0, finished: 0, aborted: 0, read: 0, written: 0 }

  const ways: Record<string, (req: IncomingMessage, res: ServerResponse, value: string) => void> = {
    echo(req, res) {
      const hash = createHash('sha1')
      let length = 0
      req.on('data', (chunk: Buffer) => {
        hash.update(chunk)
        length += chunk.length
        seen.read += chunk.length
      })
      req.on('end', () => {
        const { method, url, trailers } = req
        res.end(`${method} ${url} ${length} ${hash.digest('hex')} ${JSON.stringify(trailers)}`)
      })
    },
    who(_req, res) {
      res.end(who())
    },
    head(req, res) {
      const { httpVersion, rawHeaders, headers } = req
      res.end(JSON.stringify({ httpVersion, host: headers.host ?? null, rawHeaders }))
    },
    status(_req, res, value) {
      res.writeHead(Number(value), { ETag: '"e"', 'Set-Cookie': ['a=1', 'b=2'] }).end()
    },
    /** Answers before it has read anything, and reads it then; or closes the connection instead. */
    early(_req, res, value) {
      res.writeHead(413, value === 'close' ? { Connection: 'close' } : {}).end('too large')
    },
    /** Answers, and then reads all of it. */
    eager(req, res) {
      res.end('taken')
      req.on('data', (chunk: Buffer) => {
        seen.read += chunk.length
      })
    },
    hang() {},
    half(_req, res) {
      res.writeHead(200, { 'Content-Length': '8' }).write('half')
    },
    pieces(_req, res, value) {
      let left = Number(value)
      const next = () => {
        if (left-- > 0) res.write(`piece ${left};`, () => setImmediate(next))
        else res.end()
      }
      next()
    },
    trailers(_req, res) {
      res.writeHead(200).write('body')
      res.addTrailers({ 'X-Sum': 'end' })
      res.end()
    },
    large(_req, res, value) {
      res.writeHead(200, { 'X-Large': 'x'.repeat(Number(value)) }).end('large')
    },
    /** Writes so many chunks, as fast as they are taken. */
    flood(_req, res, value) {
      let left = Number(value)
      const next = () => {
        while (left-- > 0 && !res.destroyed) {
          const goes = res.write(CHUNK, () => {
            seen.written += CHUNK.length
          })
          if (!goes) return void res.once('drain', next)
        }
        res.end()
      }
      next()
    },
    /** Does not read until somebody says so. */
    lazy(req, res) {
      const read = () => ways.echo?.(req, res, '')
      server.once('read', read)
    },
  }

  const onRequest = (req: IncomingMessage, res: ServerResponse) => {
    seen.begun++
    res.once('close', () => {
      if (res.writableFinished) seen.finished++
      else seen.aborted++
    })
    res.setHeader('Date', 'now')
    const { way, value } = wish(req)
    ;(ways[way] ?? ways.echo)?.(req, res, value)
  }
  const server: Server = options.key ? https.createServer(options, onRequest) : http.createServer(options, onRequest)

  // Tells which headers came, then writes so many bytes, and ends.
  server.on('upgrade', (req, socket) => {
    socket.on('error', () => {})
    const { value } = wish(req)
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: odd\r\n\r\n`)
    socket.write(JSON.stringify({ who: who(), remotePort: req.socket.remotePort, rawHeaders: req.rawHeaders }))
    socket.end('z'.repeat(Number(value)))
    socket.resume()
  })
  return { server, seen }
}

function wish({ url = '' }: IncomingMessage): { way: string; value: string } {
  const [way = 'echo', value = ''] = /[?&]do=([^&]*)/.exec(url)?.[1]?.split(':') ?? []
  return { way, value }
}
