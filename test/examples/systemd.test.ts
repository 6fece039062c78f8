import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { feedWatchdog } from '../../examples/systemd/notify.js'
import { until } from '../conditions.js'
import { Example, endAll, isAlive } from './example.js'

const main = fileURLToPath(new URL('../../examples/systemd/main.js', import.meta.url))
const unit = fileURLToPath(new URL('../../../examples/systemd/hubwire.service', import.meta.url))
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'test-systemd-'))

test.after(() => {
  endAll()
  fs.rmSync(folder, { recursive: true, force: true })
})

/** A `systemd-notify` that writes down what it is told. */
function pretend(): { env: Record<string, string>; told: () => string[] } {
  const log = path.join(folder, 'told')
  fs.writeFileSync(path.join(folder, 'systemd-notify'), `#!/bin/sh\nprintf '%s\\n' "$*" >> '${log}'\n`, { mode: 0o755 })
  fs.writeFileSync(log, '')
  const env = { PATH: `${folder}:${process.env.PATH}`, NOTIFY_SOCKET: path.join(folder, 'socket') }
  return { env, told: () => fs.readFileSync(log, 'utf8').trim().split('\n') }
}

test('it tells systemd when it is ready, that it lives, and that it ends', async () => {
  const { env, told } = pretend()
  const example = await Example.start(main, { ...env, WATCHDOG_USEC: '300000' })
  const own = `--pid=${example.process.pid}`
  await until(() => told().filter((line) => line === `${own} WATCHDOG=1`).length >= 3, 'the watchdog is fed')
  assert.is(told()[0], `${own} --ready STATUS=2 of 2 workers are ready`)
  const response = await fetch(example.url)
  assert.match(await response.text(), /^hello from web-[12]\n$/)

  const { pids } = example
  assert.is(pids.length, 3)
  // A worker that dies is told of, and nobody is fed while none is there.
  process.kill(pids[1] as number, 'SIGKILL')
  await until(() => told().includes(`${own} STATUS=1 of 2 workers are ready`), 'one is missing')
  await until(() => told().filter((line) => line.endsWith('2 of 2 workers are ready')).length >= 2, 'it is back')
  assert.is(await example.end('SIGTERM'), 0, example.output)
  assert.ok(told().includes(`${own} STOPPING=1`))
  assert.equal(pids.filter(isAlive), [])
})

test('without systemd it is a program like others', async () => {
  const { env, told } = pretend()
  const example = await Example.start(main, { PATH: env.PATH as string, WATCHDOG_USEC: '300000' })
  assert.is(await example.end('SIGTERM'), 0, example.output)
  assert.equal(told(), [''])
})

/** Takes datagrams at a socket as systemd does, and writes each as a line. Node.js cannot. */
const RECEIVER = `
import json, socket, sys
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1])
print('bound', flush=True)
while True: print(json.dumps(receiver.recv(65536).decode()), flush=True)
`
const receivers: ChildProcess[] = []
test.after(() => {
  for (const receiver of receivers) receiver.kill()
})

/** Resolves when it listens at `socket`, with what it has been told. */
async function receive(socket: string): Promise<() => string[]> {
  const receiver = spawn('python3', ['-c', RECEIVER, socket], { stdio: ['ignore', 'pipe', 'inherit'] })
  receivers.push(receiver)
  let output = ''
  receiver.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
  })
  await until(() => output.startsWith('bound\n'), 'the receiver listens')
  const lines = () => output.slice(0, output.lastIndexOf('\n')).split('\n').slice(1)
  // One datagram may say several things. MAINPID comes of --pid; BARRIER asks to be told when all has been read.
  return () =>
    lines()
      .flatMap((line) => (JSON.parse(line) as string).trim().split('\n'))
      .filter((state) => !/^(MAINPID|BARRIER)=/.test(state))
}

const has = (program: string) => spawnSync(program, ['--version']).status === 0
const missing = ['systemd-notify', 'python3'].filter((program) => !has(program))
if (missing.length > 0) console.log(`skipped, for want of ${missing}: readiness and watchdog over a real NOTIFY_SOCKET`)
const real = missing.length === 0 ? test : test.skip

real('with the real systemd-notify, what arrives at NOTIFY_SOCKET is what systemd reads', async () => {
  const socket = path.join(folder, 'notify')
  const told = await receive(socket)
  const example = await Example.start(main, { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '600000' })
  await until(() => told().filter((state) => state === 'WATCHDOG=1').length >= 3, 'the watchdog is fed')
  assert.equal(told().slice(0, 3), ['READY=1', 'STATUS=2 of 2 workers are ready', 'WATCHDOG=1'])
  assert.is(await example.end('SIGTERM'), 0, example.output)
  await until(() => told().includes('STOPPING=1'), 'it says that it stops')
  assert.not.match(example.output, /systemd-notify/)
})

real('a watchdog is not fed by what is not healthy', async () => {
  const socket = path.join(folder, 'watchdog')
  const told = await receive(socket)
  Object.assign(process.env, { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '300000' })
  const asked = { healthy: 0, ill: 0 }
  let healthy = true
  const end = feedWatchdog(() => {
    asked[healthy ? 'healthy' : 'ill']++
    return healthy
  })
  // Its own timer keeps nothing alive.
  const awake = setInterval(() => {}, 1000)
  try {
    await until(() => told().length >= 2, 'it is fed')
    healthy = false
    await until(() => asked.ill >= 3 && told().length === asked.healthy, 'it has been asked, and told all')
    await until(() => asked.ill >= 6, 'it is asked again')
    assert.is(told().length, asked.healthy)
    assert.equal([...new Set(told())], ['WATCHDOG=1'])
  } finally {
    end()
    clearInterval(awake)
    delete process.env.NOTIFY_SOCKET
    delete process.env.WATCHDOG_USEC
  }
})

const verify = has('systemd-analyze') ? test : test.skip
verify('systemd understands the unit', async () => {
  // As it would be, but for the paths, which have to exist.
  const text = fs.readFileSync(unit, 'utf8').replace('/usr/bin/node /srv/app/main.js', `${process.execPath} ${main}`)
  const copy = path.join(folder, 'hubwire.service')
  fs.writeFileSync(copy, text)
  const { stdout, stderr } = await promisify(execFile)('systemd-analyze', ['verify', '--man=no', copy])
  assert.is(stdout + stderr, '')
})

test.run()
