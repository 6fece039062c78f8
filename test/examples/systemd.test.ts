import { execFile, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
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

const verify = spawnSync('systemd-analyze', ['--version']).status === 0 ? test : test.skip
verify('systemd understands the unit', async () => {
  // As it would be, but for the paths, which have to exist.
  const text = fs.readFileSync(unit, 'utf8').replace('/usr/bin/node /srv/app/main.js', `${process.execPath} ${main}`)
  const copy = path.join(folder, 'hubwire.service')
  fs.writeFileSync(copy, text)
  const { stdout, stderr } = await promisify(execFile)('systemd-analyze', ['verify', '--man=no', copy])
  assert.is(stdout + stderr, '')
})

test.run()
