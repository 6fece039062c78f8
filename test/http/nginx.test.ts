import { spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs/promises'
import net, { type AddressInfo } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { io } from 'socket.io-client'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { until, withSite } from './harness.js'

const exec = new URL('./workers/chat.js', import.meta.url)
const nginx = ['nginx', '/usr/sbin/nginx'].find((name) => !spawnSync(name, ['-v']).error)

/** What the documentation tells users to write, with these ports and a smaller pool. */
async function documented(upstream: number, port: number): Promise<string> {
  const page = await fs.readFile(new URL('../../../docs/http.md', import.meta.url), 'utf8')
  let text = /^```nginx\n(.*?)^```$/ms.exec(page)?.[1] ?? ''
  for (const [theirs, ours] of [
    ['127.0.0.1:3000;', `127.0.0.1:${upstream};`],
    ['listen 80;', `listen 127.0.0.1:${port};`],
    ['keepalive 32;', 'keepalive 8;'],
  ] as const) {
    assert.ok(text.includes(theirs), theirs)
    text = text.replace(theirs, ours)
  }
  return text
}

/** Runs nginx in front of a port, with a pool of connections that all clients share. */
async function behindNginx(upstream: number, body: (port: number) => Promise<void>): Promise<void> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'nginx-test-'))
  const port = await freePort()
  await fs.writeFile(
    path.join(folder, 'nginx.conf'),
    // As root its workers would be somebody else, who may not write into this folder.
    `${process.getuid?.() === 0 ? 'user root;' : ''} daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
     events { worker_connections 512; }
     http {
       access_log off; client_max_body_size 10m;
       ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join('\n')}
       ${await documented(upstream, port)}
     }`,
  )
  const child = spawn(nginx as string, ['-p', folder, '-c', path.join(folder, 'nginx.conf')], { stdio: 'ignore' })
  try {
    const open = () =>
      new Promise<boolean>((resolve) => {
        const probe = net.connect(port, '127.0.0.1')
        probe.once('connect', () => resolve(true)).once('error', () => resolve(false))
        probe.once('connect', () => probe.destroy())
      })
    const end = Date.now() + 10_000
    while (!(await open())) if (Date.now() > end) throw new Error(await fs.readFile(`${folder}/error.log`, 'utf8'))
    await body(port)
  } finally {
    child.kill('SIGTERM')
    await until(() => child.exitCode !== null || child.signalCode !== null, 'nginx ends')
    await fs.rm(folder, { recursive: true, force: true })
  }
}

for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
  const run = nginx ? test : test.skip
  run(`through nginx with a pool of connections: ${transports}`, () =>
    withSite([{ role: 'web', count: 3, exec }], {}, ({ port: upstream }) =>
      behindNginx(upstream, async (port) => {
        const clients = Array.from({ length: 12 }, () =>
          io(`http://127.0.0.1:${port}`, { transports, forceNew: true, reconnection: false }),
        )
        const lost: string[] = []
        for (const client of clients) client.on('disconnect', (reason) => lost.push(reason))
        try {
          const homes = await Promise.all(
            clients.map(async (client, n) => {
              await new Promise<void>((resolve, reject) => {
                client.once('connect', resolve)
                client.once('connect_error', reject)
              })
              const seen = new Set<string>()
              for (let i = 0; i < 30; i++) {
                const sent = i % 3 === 0 ? Buffer.alloc(i === 3 ? 1_000_000 : 10, n) : { n, i }
                const { value, id } = await client.timeout(10_000).emitWithAck('echo', sent)
                assert.equal(value, sent)
                seen.add(id)
              }
              assert.is(seen.size, 1)
              return [...seen][0]
            }),
          )
          assert.is(new Set(homes).size, 3)
          if (transports.length === 2) {
            await until(() => clients.every(({ io }) => io.engine.transport.name === 'websocket'), 'all upgrade')
          }
          assert.equal(lost, [])
        } finally {
          for (const client of clients) client.disconnect()
        }
      }),
    ),
  )
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

if (!nginx) {
  const how = 'nginx is not installed. On Debian: apt-get install -y nginx-light'
  if (process.env.CI) throw new Error(how)
  console.log(`Skipped: ${how}`)
}

test.run()
