/** Logs in, keeps the connection, and hands what arrives to the parts of the page. */
import { io } from '/socket.io/socket.io.esm.min.js'
import { address, offer, startComposer } from './composer.js'
import { changing, endDeploy, showDeploy, startDeploys } from './deploy.js'
import { byId, element } from './dom.js'
import { open, showPeople, showWorkers } from './sidebar.js'
import { note, setMe, show, showMissed, showPending, waiting } from './timeline.js'

/** Somebody who has not been heard of for so long, in milliseconds, types no more. */
const TYPING_LASTS = 3000

let login // { name, token }: of this tab alone, so that two tabs may be two people
let served // the process at the other end, and its workers
let online = []
let caughtUpTo = 0
let caughtUp = false
const typing = new Map()

const socket = io({
  autoConnect: false,
  // After a crash there is another worker at once: no reason to wait for long.
  reconnectionDelay: 100,
  reconnectionDelayMax: 3000,
  // A WebSocket is a connection of its own, and goes to the worker with fewest. Where it cannot be, polling can.
  transports: ['websocket', 'polling'],
  tryAllTransports: true,
  // What the server has not acknowledged is sent again, in order. It knows by the key what it has already.
  retries: 10,
  ackTimeout: 8000,
  // Asked at every attempt: what this tab has seen, it need not be sent.
  auth: (give) => give({ token: login?.token, after: caughtUpTo }),
})

socket.on('welcome', (welcome) => {
  // What became of a deploy meanwhile is not known here.
  endDeploy()
  showMissed(welcome)
  caughtUp = true
  caughtUpTo = welcome.upTo
  for (const id of ['operate', 'operate-hint']) byId(id).hidden = !welcome.mayOperate
  byId('crash').disabled = false
  showServed(welcome)
})

// At a deploy: the same connection, and another process at its end.
socket.on('served', showServed)

socket.on('message', (message) => {
  show(message)
  // Until the welcome, something from before this message may still be missing.
  if (caughtUp) caughtUpTo = Math.max(caughtUpTo, message.id)
  typing.delete(message.from)
  showTyping()
})

socket.on('online', (names) => {
  online = names
  showPeople(names, login.name, (name) => {
    open(false)
    address(name)
  })
  offer(names.filter((name) => name !== login.name))
})

socket.on('workers', showWorkerList)

socket.on('deploy', (deploy) => {
  showDeploy(deploy, { connection: socket.id, pid: served?.pid })
  showWorkerList(served?.workers ?? [])
})

socket.on('typing', (name) => {
  typing.set(name, Date.now() + TYPING_LASTS)
  showTyping()
  setTimeout(showTyping, TYPING_LASTS + 50)
})

socket.on('disconnect', (reason) => {
  caughtUp = false
  byId('crash').disabled = true
  if (reason === 'io client disconnect') return
  showStatus('connecting', 'Reconnecting …')
  note(`The connection to ${served.worker} is gone.`)
})

socket.on('connect_error', (error) => {
  if (error.data?.login) {
    const lost = waiting() ? ' What you wrote meanwhile was not sent.' : ''
    return logOut(`Please log in again: the server has been restarted, or it was long ago.${lost}`)
  }
  showStatus('connecting', 'Reconnecting …')
})

startComposer({
  send,
  typing: (to) => socket.connected && socket.volatile.emit('typing', to ?? null),
})

byId('crash').addEventListener('click', () => {
  byId('crash').disabled = true
  // Volatile, or it would be sent again to the next worker, and to the one after it.
  socket.volatile.emit('crash')
})

// Volatile for the same reason. Whoever presses it while a deploy is under way joins that.
startDeploys(() => socket.volatile.emit('deploy'))

byId('log-out').addEventListener('click', () => logOut())

byId('login-form').addEventListener('submit', async (event) => {
  event.preventDefault()
  const problem = byId('login-problem')
  problem.textContent = ''
  try {
    const response = await fetch('/login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: byId('name').value }),
    })
    const answer = await response.json()
    if (!response.ok) throw new Error(answer.error)
    sessionStorage.setItem('login', JSON.stringify(answer))
    logIn(answer)
  } catch (error) {
    problem.textContent = error.message
    byId('name').focus()
  }
})

byId('curl').textContent = [
  `curl ${location.protocol === 'http:' ? location.host : location.origin}/publish \\`,
  `  -H 'content-type: application/json' \\`,
  `  -d '{"text":"Hello!"}'`,
].join('\n')

const remembered = sessionStorage.getItem('login')
if (remembered) logIn(JSON.parse(remembered))
else showLogin()

function logIn(answer) {
  login = answer
  setMe(login.name)
  byId('you').textContent = login.name
  byId('login').hidden = true
  byId('chat').hidden = false
  showStatus('connecting', 'Connecting …')
  socket.connect()
  byId('text').focus()
}

/** With the page goes what is on the screen or waits to be sent: it is nothing for whoever logs in next. */
function logOut(why = '') {
  socket.disconnect()
  sessionStorage.removeItem('login')
  sessionStorage.setItem('loggedOut', JSON.stringify({ name: login.name, why }))
  location.reload()
}

function showLogin() {
  const { name = '', why = '' } = JSON.parse(sessionStorage.getItem('loggedOut') ?? '{}')
  sessionStorage.removeItem('loggedOut')
  byId('login').hidden = false
  byId('login-problem').textContent = why
  byId('name').value = name
  byId('name').focus()
}

function send(draft) {
  const failed = showPending(draft, () => send(draft))
  socket.emit('say', draft, (error, answer) => {
    if (error || answer.error) failed(error ? 'the server does not answer.' : answer.error)
  })
}

function showStatus(state, ...text) {
  byId('connection').dataset.state = state
  byId('connection').replaceChildren(element('span', {}, ...text))
}

function showServed(now) {
  if (served && served.worker !== now.worker) note(`${now.worker} serves this tab now.`)
  served = now
  const { worker, pid, release } = now
  const wide = (text) => element('span', { class: 'wide' }, text)
  showStatus('online', wide('Served by '), worker, wide(` · pid ${pid}`), ` · release ${release}`)
  byId('crash').textContent = `Crash ${worker}`
  showWorkerList(now.workers)
}

function showWorkerList(workers) {
  if (!served) return
  served = { ...served, workers }
  showWorkers(workers, served.worker, changing())
}

function showTyping() {
  const now = Date.now()
  for (const [name, until] of typing) if (until <= now) typing.delete(name)
  const names = [...typing.keys()].filter((name) => online.includes(name))
  byId('typing').textContent =
    names.length === 0
      ? ''
      : names.length < 4
        ? `${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} typing …`
        : 'Several people are typing …'
}
