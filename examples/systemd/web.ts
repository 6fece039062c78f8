import { createServer } from 'node:http'
import { joinHub } from 'hubwire'

const hub = await joinHub()
hub.serve(createServer((_request, response) => response.end(`hello from ${hub.id}\n`)))
