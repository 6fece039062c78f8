/** A worker of the campaign: a member under load, with a Socket.IO server, which harms itself when it is told to. */
import { createServer } from 'node:http'
import { joinHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { memberOf } from '#lib/internal.js'
import { MARKER } from '#lib/wire/batch.js'
import { callFrame, controlFrame, Kind, senderFrame } from '#lib/wire/frame.js'
import { answerKind } from '#lib/wire/packet.js'
import { Random } from '../../fuzz/random.js'
import { usage } from '../../soak/usage.js'
import { eventFrame } from '../../wire/frames.js'
import { type Faults, type Harm, processName } from '../contract.js'
import { History, readPhase } from '../history.js'
import { Load } from '../load.js'
import { watchAnswers } from '../witness.js'

// Of what it is made to send wrongly it is warned, as it should be.
process.removeAllListeners('warning')

const folder = process.env.FAULTS_FOLDER as string
// What it sees before it knows its name waits.
const seen: string[] = []
let history: History | undefined
const lastCall = watchAnswers((words) => {
  if (history) history.write(`W ${words}`)
  else seen.push(words)
})
const phase = readPhase(folder)
const hub = await joinHub<Faults>({
  onStop: () => {
    server.close()
  },
})
const name = processName(hub.id, process.pid)
history = new History(folder, name)
for (const words of seen) history.write(`W ${words}`)
const server = createServer((_request, response) => response.end(name))
// engine.io's client stops polling when its WebSocket has answered, and does not begin again where that is closed before it
// has taken over: it is lost until its heartbeat fails. On a busy machine engine.io's own 10 s are over by then.
const options = { serveClient: false, upgradeTimeout: 120_000 }
const io = attachSocketIo(hub.role === 'web' ? new Server(server, options) : new Server(), hub)
if (hub.role === 'web') hub.serve(server)
const load = new Load(hub, io, history, new Random(phase.seed + process.pid))

io.on('connection', (socket) => {
  socket.emit('home', name)
  socket.on('enter', async (rooms: string[], done: () => void) => {
    await socket.join(rooms)
    done()
  })
  socket.on('ask', (key: string, answer: (key: string) => void) => answer(key))
})

hub.handle('begin', (round) => load.begin(round))
hub.handle('go', () => load.start())
hub.handle('rest', () => load.rest())
hub.handle('mark', () => load.mark())
hub.handle('usage', usage)
hub.handle('view', () => load.view())
hub.on('misbehave', harm)
if (phase.going) load.start()

function harm(order: Harm): void {
  switch (order.what) {
    case 'wedge': {
      const end = Date.now() + order.ms
      while (Date.now() < end);
      break
    }
    case 'leak': {
      const leaked: unknown[] = []
      setInterval(() => {
        leaked.push(
          new Uint8Array(4 << 20).fill(1),
          setInterval(() => {}, 1000),
        )
        hub.on('item', () => leaked.length)
        if (leaked.length > 20) process.exit(1)
      }, 20)
      break
    }
    case 'exit':
      process.exit(7)
      break
    case 'flood':
      load.flood(order.count, order.heeds)
      break
    case 'huge':
      load.huge(order.bytes)
      break
    case 'malformed':
      for (const bytes of ['\0\0\0', '\ud800'.repeat(500), controlFrame('{"t":"__proto__"}'), controlFrame('{')]) {
        process.send?.(MARKER + bytes)
      }
      process.send?.([MARKER, new Uint8Array(3), { deep: [] }])
      forge()
      break
    default:
      order satisfies never
  }
}

/** Speaks in others' names, and of their calls. */
function forge(): void {
  const { address } = memberOf(hub, 'the campaign')
  const last = lastCall()
  for (let other = Math.max(1, address - 20); other < address + 20; other++) {
    if (other === address) continue
    process.send?.(MARKER + senderFrame(other, 1, 'web-1', 'web') + eventFrame(0, 1, 'item', '["forged",1]'))
    // Numbers that no call has: those that others ask of this process it may well answer.
    for (const kind of [Kind.Response, Kind.Failure, Kind.Refusal, answerKind(false), answerKind(true)]) {
      process.send?.(MARKER + callFrame(kind, other, 200_000_000 + other, '"forged"'))
    }
    // All members have made about as many calls.
    let cancels = MARKER
    for (let call = Math.max(0, last - 200); call < last + 50; call++) {
      cancels += callFrame(Kind.Cancel, other, call, '')
    }
    process.send?.(cancels)
  }
}
