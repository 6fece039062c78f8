import { createHash } from 'node:crypto'
import http, { type Server, type ServerOptions } from 'node:http'

/**
 * An HTTP server that tells what it has got, so that two of them can be compared: one that listens, and one behind the
 * hub.
 */
export function createApp(who: () => string, options: ServerOptions = {}): Server {
  const server = http.createServer(options, (req, res) => {
    const { method, url = '' } = req
    res.setHeader('Date', 'now')
    if (url === '/who') {
      res.end(who())
      return
    }
    if (url === '/remote') {
      const { remoteAddress, remotePort, remoteFamily } = req.socket
      res.end(JSON.stringify({ remoteAddress, remotePort, remoteFamily, id: who() }))
      return
    }
    if (url === '/open') {
      server.getConnections((_, count) => res.end(String(count)))
      return
    }
    if (url === '/silent') return
    if (url.startsWith('/slow')) {
      setTimeout(() => res.end(who()), Number(url.slice(6) || 100))
      return
    }
    if (url === '/exit') process.exit(9)
    const hash = createHash('sha1')
    let length = 0
    req.on('data', (chunk: Buffer) => {
      hash.update(chunk)
      length += chunk.length
    })
    req.on('end', () => res.end(`${method} ${url} ${length} ${hash.digest('hex')} ${req.headers['x-note'] ?? ''}`))
  })
  server.on('upgrade', (_req, socket, head) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    socket.on('error', () => {})
    if (head.length > 0) socket.write(head)
    socket.on('data', (chunk: Buffer) => socket.write(chunk))
    socket.on('end', () => socket.end())
  })
  return server
}
