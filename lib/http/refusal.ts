import { STATUS_CODES } from 'node:http'
import { type RawHandle, wrap } from './raw-handle.js'

/** How long a refused client may take to read why, in milliseconds. */
const FAREWELL = 2000

/** Answers in place of a worker, and closes the connection. */
export function refuse(handle: RawHandle, status: 408 | 431 | 503, headers = ''): void {
  const body = `${STATUS_CODES[status]}\n`
  const socket = wrap(handle)
  socket.on('error', () => {})
  // What the client still sends is read and dropped: a connection closed over unread bytes is reset, and the answer lost.
  socket.resume()
  socket.setTimeout(FAREWELL, () => socket.destroy())
  const farewell = setTimeout(() => socket.destroy(), FAREWELL)
  socket.once('close', () => clearTimeout(farewell))
  socket.once('end', () => socket.destroy())
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${headers}Date: ${new Date().toUTCString()}\r\n` +
      `Connection: close\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
}
