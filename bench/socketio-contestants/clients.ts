/**
 * The clients, in a process of their own: raw WebSockets that count what comes and look at nothing, so that what is
 * measured is the servers. Tells its parent how many events have come.
 */
import { randomBytes } from 'node:crypto'
import net from 'node:net'

export type ToClients = { connect: { port: number; count: number }[]; every: number }
export type FromClients = { connected: number } | { received: number }

/** Of WebSocket and of Socket.IO: the first bytes of a text, 'connected' and 'event'. */
const TEXT = 0x81
const [MESSAGE, CONNECT, EVENT] = ['4', '0', '2'].map((digit) => digit.charCodeAt(0)) as [number, number, number]

let received = 0
let every = 1

function tell(message: FromClients): void {
  process.send?.(message)
}

/** Frames from a client are masked; four zeroes are a mask, too. */
function frame(text: string): Buffer {
  return Buffer.concat([Buffer.from([TEXT, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)])
}

function connect(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
    socket.on('error', reject)
    socket.write(
      'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n' +
        `Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
    )
    let rest = Buffer.alloc(0)
    let upgraded = false
    socket.on('data', (chunk) => {
      let data = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
      if (!upgraded) {
        const end = data.indexOf('\r\n\r\n')
        if (end >= 0) {
          upgraded = true
          data = data.subarray(end + 4)
          socket.write(frame('40'))
        }
      }
      let at = 0
      while (upgraded && at + 2 <= data.length) {
        const short = data.readUInt8(at + 1)
        const start = short < 126 ? at + 2 : at + 4
        if (start > data.length) break
        const length = short < 126 ? short : data.readUInt16BE(at + 2)
        if (start + length > data.length) break
        if (data[start] === MESSAGE) {
          if (data[start + 1] === CONNECT) resolve()
          else if (data[start + 1] === EVENT && ++received % every === 0) tell({ received })
        }
        at = start + length
      }
      rest = data.subarray(at)
    })
  })
}

process.on('message', async (message: ToClients) => {
  every = message.every
  let connected = 0
  for (const { port, count } of message.connect) {
    for (let done = 0; done < count; done += 100) {
      const some = Math.min(100, count - done)
      await Promise.all(Array.from({ length: some }, () => connect(port)))
      connected += some
    }
  }
  tell({ connected })
})
