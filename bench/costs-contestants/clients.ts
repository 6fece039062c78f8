/** `node clients.js <port> <count>`: connections that ask once, and stay. Tells its parent when all have been answered. */
import http from 'node:http'

const [port, count] = process.argv.slice(2).map(Number) as [number, number]
const agent = new http.Agent({ keepAlive: true, maxFreeSockets: count })

function ask(): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = http.get({ port, host: '127.0.0.1', agent }, (response) => {
      response.resume()
      response.once('end', resolve)
    })
    request.once('error', reject)
  })
}

// All of a bunch are under way at once, and so none uses the connection of another.
await Promise.all(Array.from({ length: count }, ask))
process.send?.('connected')
