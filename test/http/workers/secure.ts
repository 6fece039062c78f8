/** A web worker that ends TLS itself, with a Socket.IO server. The certificate is for the loopback interface alone. */
import fs from 'node:fs'
import https from 'node:https'
import type { TLSSocket } from 'node:tls'
import { joinHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { tlsFile } from '../tls.js'

export interface Answer {
  id: string
  remoteAddress: string | undefined
  protocol: string | null
  /** Of the client's certificate. */
  fingerprint: string | undefined
}

const hub = await joinHub()
const server = https.createServer(
  {
    key: fs.readFileSync(tlsFile('key')),
    cert: fs.readFileSync(tlsFile('cert')),
    requestCert: true,
    rejectUnauthorized: false,
  },
  (req, res) => {
    const socket = req.socket as TLSSocket
    const { fingerprint256: fingerprint } = socket.getPeerCertificate()
    const { remoteAddress } = socket
    res.end(JSON.stringify({ id: hub.id, remoteAddress, protocol: socket.getProtocol(), fingerprint } satisfies Answer))
  },
)
hub.serve(server)
const io = attachSocketIo(new Server(server, { maxHttpBufferSize: 3e6 }), hub)
io.on('connection', (socket) => {
  socket.join('all')
  socket.on('where', (answer) => answer(hub.id, socket.conn.remoteAddress))
  socket.on('echo', (value, answer) => answer(value))
  socket.on('shout', (value) => io.to('all').emit('shout', value))
})
