import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setupPrimary } from '@socket.io/cluster-adapter'
import { setupMaster } from '@socket.io/sticky'
import { isHubMessage } from 'hubwire'
import { AggregatorRegistry } from 'prom-client'
import { io as connect } from 'socket.io-client'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { pidOf, until, withHub } from './conditions.js'

const exec = (name: string) => new URL(`./workers/${name}.js`, import.meta.url)

test('process.send and message listeners of your own, in both directions, beside the hub', async () => {
  const heard: { worker: Worker; message: Record<string, unknown> }[] = []
  let batches = 0
  const listener = (worker: Worker, message: Record<string, unknown>) => {
    if (isHubMessage(message)) batches++
    else heard.push({ worker, message })
  }
  cluster.on('message', listener)
  try {
    await withHub({ workers: [{ role: 'web', count: 2, exec: exec('sharing') }] }, async (hub) => {
      const workers = Object.values(cluster.workers ?? {}) as Worker[]
      assert.equal(workers.map(({ process }) => process.pid).sort(), [pidOf(hub, 'web-1'), pidOf(hub, 'web-2')].sort())
      const own = heard.filter(({ message }) => 'early' in message)
      assert.equal(
        own.map(({ message }) => message.early),
        own.map(({ worker }) => worker.process.pid),
      )
      assert.is(own.length, 2)

      const worker = workers[0] as Worker
      const answers: unknown[] = []
      worker.on('message', (message) => isHubMessage(message) || answers.push(message))
      // Interleaved: each of the two ways keeps its order, and nobody sees what is the other's.
      for (let n = 0; n < 200; n++) {
        worker.send({ ask: n })
        hub.to({ role: 'web' }).emit('news', n)
        if (n % 20 === 0) assert.is(await hub.delegate('binary', new Uint8Array(n)), n)
      }
      await until(() => answers.length === 400, 'answers and echoes')
      const numbers = (name: string) =>
        (answers as Record<string, unknown>[]).filter((answer) => name in answer).map((answer) => answer[name])
      assert.equal(numbers('answer'), [...Array(200).keys()])
      assert.equal(numbers('heard'), [...Array(200).keys()])
      for (const text of ['', 'text', '\x11', '\x11hubwire']) worker.send(text)
      worker.send(['an', 'array'])
      const id = hub.members.find(({ pid }) => pid === worker.process.pid)?.id as string
      await until(
        async () => ((await hub.to(id).request('mine')) as { mine: unknown[] }).mine.length === 205,
        'all that was sent',
      )
      const { mine, batches: seen } = (await hub.to(id).request('mine')) as { mine: unknown[]; batches: boolean }
      assert.equal(mine.slice(200), ['', 'text', '\x11', '\x11hubwire', ['an', 'array']])
      assert.is(seen, true)
      assert.ok(batches > 0)
      assert.is(hub.stats().links?.find((link) => link.id === id)?.protocolErrors, 0)
    })
  } finally {
    cluster.removeListener('message', listener)
  }
})

test('isHubMessage tells batches from all else', () => {
  for (const other of [undefined, null, 0, '', 'hubwire', {}, [], [1], [''], { 0: '\x11hubwire1\x11' }]) {
    assert.is(isHubMessage(other), false)
  }
})

test('workers that you fork yourself keep your settings, and outlive the hub', async () => {
  cluster.setupPrimary({ exec: 'nowhere.js', args: ['yours'], serialization: 'json', silent: false })
  const before = { ...cluster.settings }
  const others: Worker[] = []
  const tell = async () => {
    const other = cluster.fork()
    others.push(other)
    const [message] = await once(other, 'message')
    assert.equal(message, { argv: ['yours'], map: {} })
    return other
  }
  try {
    await withHub({ workers: [{ id: 'a', exec: exec('sharing'), backoff: { min: 1, max: 1 } }] }, async (hub) => {
      assert.equal({ ...cluster.settings }, before)
      cluster.setupPrimary({ exec: new URL(exec('plain')).pathname })
      const changed = { ...cluster.settings }
      await tell()
      // The hub forks again, with its own settings.
      await hub.restart('a')
      const joined = once(hub.lifecycle, 'join')
      process.kill(pidOf(hub, 'a'), 'SIGKILL')
      await joined
      assert.is(await hub.to('a').request('binary', new Uint8Array(3)), 3)
      assert.equal({ ...cluster.settings }, changed)
      await tell()
      assert.equal(
        hub.members.map(({ id }) => id),
        ['primary', 'a'],
      )
    })
    assert.equal(
      others.map((other) => other.isConnected()),
      [true, true],
    )
  } finally {
    for (const other of others) {
      const exit = once(other, 'exit')
      other.send('end')
      await exit
    }
  }
})

test('@socket.io/cluster-adapter and @socket.io/sticky work on the hub’s workers', async () => {
  const before = cluster.listeners('message')
  setupPrimary()
  const server = createServer()
  setupMaster(server)
  const clients: ReturnType<typeof connect>[] = []
  try {
    await withHub({ workers: [{ role: 'web', count: 2, exec: exec('socket-io') }] }, async (hub) => {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      const served = new Map<string, string[]>()
      for (const transports of [['polling', 'websocket'], ['websocket'], ['polling'], ['polling']]) {
        const client = connect(url, { transports, forceNew: true })
        clients.push(client)
        const announcements: string[] = []
        client.on('announcement', (text: string) => announcements.push(text))
        const by = await new Promise<string>((resolve) => client.once('served by', resolve))
        served.set(by, announcements)
      }
      assert.equal([...served.keys()].sort(), ['web-1', 'web-2'])
      // The adapters find each other by their heartbeats.
      await until(async () => (await hub.to('web-1').request('sockets')) === 4, 'the adapters know each other')
      for (let n = 0; n < 20; n++) {
        await hub.to(n % 2 === 0 ? 'web-1' : 'web-2').request('announce', String(n))
        const client = clients[n % 4] as ReturnType<typeof connect>
        assert.is(await client.emitWithAck('relay', `n${n}`), `N${n}`)
      }
      for (const announcements of served.values()) {
        await until(() => announcements.length === 20, 'announcements from both workers')
        assert.equal(
          announcements.map(Number).sort((a, b) => a - b),
          [...Array(20).keys()],
        )
      }
      for (const client of clients) client.close()
      // What a client says at its end, sticky gives away as a connection: one to a worker that has ended is never closed.
      await until(
        async () => (await hub.to('web-1').request('sockets')) === 0,
        'the workers know that the clients left',
      )
    })
  } finally {
    for (const client of clients) client.close()
    server.close()
    server.closeAllConnections()
    for (const listener of cluster.listeners('message')) {
      if (!before.includes(listener)) cluster.removeListener('message', listener as () => void)
    }
  }
})

test('prom-client collects the metrics of the hub’s workers', async () => {
  const before = cluster.listeners('message')
  const registry = new AggregatorRegistry()
  try {
    await withHub({ workers: [{ role: 'web', count: 2, exec: exec('metrics') }] }, async (hub) => {
      const EVENTS = 300
      const scrapes: Promise<string>[] = []
      // It asks each worker with an object of its own, and gets one back, in the midst of the hub's batches.
      for (let n = 0; n < EVENTS; n++) {
        hub.to({ role: 'web' }).emit('news', n)
        if (n % 30 !== 0) continue
        scrapes.push(registry.clusterMetrics())
        await Promise.all(['web-1', 'web-2'].map((id) => hub.to(id).request('measure', new Uint8Array(n))))
      }
      const counts = (await Promise.all(scrapes)).map((text) => sample(text, 'heard_total'))
      assert.is(counts.length, 10)
      assert.equal(
        counts,
        counts.toSorted((a, b) => a - b),
        'it never counts backwards',
      )
      // Its own messages do not wait behind the hub's: all events have been heard when a request after them is answered.
      await Promise.all(['web-1', 'web-2'].map((id) => hub.to(id).request('measure', new Uint8Array(5))))
      const text = await registry.clusterMetrics()
      assert.is(sample(text, 'heard_total'), EVENTS * 2)
      assert.is(sample(text, 'task_bytes_count'), 22)
      assert.is(sample(text, 'task_bytes_bucket{le="100"}'), 10)
      assert.is(sample(text, 'task_bytes_sum'), 2 * (5 + 0 + 30 + 60 + 90 + 120 + 150 + 180 + 210 + 240 + 270))
      for (const id of ['web-1', 'web-2']) assert.is(sample(text, `members{id="${id}"}`), 3)

      // The process that follows in a seat takes part; the one before it is not waited for.
      await hub.restart('web-1')
      assert.is(sample(await registry.clusterMetrics(), 'heard_total'), EVENTS)
      assert.equal(
        hub.stats().links?.map((link) => link.protocolErrors),
        [0, 0, 0],
      )
    })
  } finally {
    for (const listener of cluster.listeners('message')) {
      if (!before.includes(listener)) cluster.removeListener('message', listener as () => void)
    }
  }
})

/** The value of one line in what Prometheus reads. */
function sample(text: string, name: string): number {
  const line = text.split('\n').find((one) => one.startsWith(`${name} `))
  if (line === undefined) throw new Error(`no ${name} in:\n${text}`)
  return Number(line.slice(name.length + 1))
}

test.run()
