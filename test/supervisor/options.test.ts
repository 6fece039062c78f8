import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { checkOptions } from '#lib/checks.js'
import { HubError } from '#lib/errors.js'
import { resolveSeats } from '#lib/supervisor/options.js'
import type { SupervisionOptions, WorkerSpec } from '#lib/types.js'
import { fixture } from './harness.js'

const exec = fixture('worker.mjs')
const resolve = (specs: unknown, defaults: unknown = {}, taken: string[] = []) =>
  resolveSeats(specs as WorkerSpec[], defaults as SupervisionOptions, new Set(taken))
const ids = (specs: unknown, taken: string[] = []) => resolve(specs, {}, taken).map(({ id }) => id)

function refuses(specs: unknown, message: RegExp, defaults: unknown = {}, taken: string[] = []): void {
  assert.throws(
    () => resolve(specs, defaults, taken),
    (error: unknown) => {
      assert.instance(error, HubError)
      assert.is((error as HubError).code, 'ERR_INVALID_ARG_VALUE')
      assert.match((error as HubError).message, message)
      // One style: what was tried, then sentences, and names in double quotes.
      assert.match((error as HubError).message, /^(startHub\(\)|workers\[\d\])([^']|\b'\b)*[.?]$/)
      return true
    },
  )
}

test('fills in the defaults', () => {
  const [seat] = resolve([{ id: 101 }])
  assert.is(seat?.id, '101')
  assert.is(seat?.role, undefined)
  assert.is(seat?.exec, process.argv[1])
  assert.equal(
    { ...seat, exec: '', env: [] },
    {
      id: '101',
      role: undefined,
      exec: '',
      args: undefined,
      execArgv: undefined,
      env: [],
      restart: 'always',
      intensity: { restarts: 5, period: 60_000 },
      backoff: { min: 100, max: 10_000 },
      hungAfter: undefined,
      readyTimeout: 30_000,
      gracePeriod: 10_000,
      handoverTimeout: 5_000,
      stderr: 'tail',
      transport: 'ipc',
    },
  )
})

test('what a worker says goes before what all are told, and undefined says nothing', () => {
  const [a, b] = resolve([{ id: 'a', restart: 'never', gracePeriod: undefined }, { id: 'b' }], {
    restart: 'on-failure',
    gracePeriod: 5,
    backoff: { min: 20_000 },
    workers: 'not looked at',
  })
  assert.is(a?.restart, 'never')
  assert.is(a?.gracePeriod, 5)
  assert.is(b?.restart, 'on-failure')
  assert.equal(b?.backoff, { min: 20_000, max: 20_000 })
})

test('expands roles, and goes on with the next free numbers', () => {
  assert.equal(ids([{ role: 'web', count: 2 }, { id: 'x', role: 'web' }, { role: 'solo' }]), [
    'web-1',
    'web-2',
    'x',
    'solo-1',
  ])
  assert.equal(ids([{ role: 'web', count: 2 }], ['web-1', 'web-2']), ['web-3', 'web-4'])
  assert.equal(ids([{ role: 'web', count: 2 }], ['web-2']), ['web-1', 'web-3'])
  assert.equal(ids([{ role: 'web' }, { role: 'web', exec }]), ['web-1', 'web-2'])
  assert.equal(ids([{ role: 'web', count: 0 }]), [])
})

test('ids of every kind are ordinary', () => {
  assert.equal(
    ids([{ id: '__proto__' }, { id: 'constructor', env: { ['__proto__']: 'x' } }, { id: 0 }, { id: '邮件📮' }]),
    ['__proto__', 'constructor', '0', '邮件📮'],
  )
})

test('refuses unusable ids by name', () => {
  refuses([{ id: 'a' }, { id: 'a' }], /"a" is used twice/)
  refuses([{ id: 101 }, { id: '101' }], /"101" is used twice/)
  refuses([{ role: 'web' }, { id: 'web-1' }], /"web-1" is used twice/)
  refuses([{ id: 'web-1' }, { role: 'web' }], /"web-1" is used twice/)
  refuses([{ id: 'a' }], /"a" is used twice/, {}, ['a'])
  refuses([{ id: '' }], /id is empty/)
  refuses([{ id: 'primary' }], /"primary" is taken/)
  refuses([{ id: 'a\nb' }], /"a\\nb" contains control characters/)
  refuses([{ id: 'a'.repeat(256) }], /256 characters\. At most 255/)
  assert.equal(ids([{ id: 'a'.repeat(255) }]).length, 1)
  refuses([{ role: 'a'.repeat(254) }], /256 characters/)
  refuses([{ id: Number.NaN }], /NaN/)
  refuses([{ id: 1.5 }], /1\.5/)
  refuses([{ id: null }], /null/)
  refuses([{ role: 'primary' }], /role "primary" is taken/)
  refuses([{ id: 'a', role: '' }], /role is empty/)
  refuses([{ role: 7 }], /role must be a string, not 7\./)
  refuses([{}], /needs an id or a role/)
  refuses([{ id: 'a', count: 2 }], /count is for roles/)
})

test('refuses wrong types and numbers', () => {
  refuses('worker.js', /^startHub\(\): workers must be an array, not "worker\.js"\.$/)
  refuses(['worker.js'], /workers\[0\]: give an object/)
  refuses([null], /workers\[0\]/)
  refuses([{ role: 'web', count: -1 }], /count must be a whole number from 0 on, not -1\./)
  refuses([{ role: 'web', count: Infinity }], /count/)
  refuses([{ role: 'web', count: '2' }], /count.*"2"/)
  refuses([{ id: 'a', args: 'x' }], /id "a"\): args must be an array of strings, not "x"\./)
  refuses([{ id: 'a', execArgv: [1] }], /execArgv\[0\] must be a string, not 1\./)
  refuses([{ id: 'a', env: { PORT: 80 } }], /env\.PORT must be a string, not 80\./)
  refuses([{ id: 'a', restart: 'sometimes' }], /restart must be "always" or "on-failure" or "never", not "sometimes"\./)
  refuses([{ id: 'a', stderr: 'pipe' }], /stderr/)
  refuses([{ id: 'a', transport: 'tcp' }], /transport/)
  refuses([{ id: 'a', gracePeriod: -1 }], /gracePeriod.*-1/)
  refuses([{ id: 'a', gracePeriod: Number.NaN }], /gracePeriod.*NaN/)
  refuses([{ id: 'a', readyTimeout: 0 }], /readyTimeout/)
  refuses([{ id: 'a', hungAfter: '5' }], /hungAfter/)
  refuses([{ id: 'a', intensity: { restarts: -1, period: 1 } }], /intensity\.restarts/)
  refuses([{ id: 'a', intensity: { restarts: 1, period: 0 } }], /intensity\.period/)
  refuses([{ id: 'a', backoff: { min: 5, max: 1 } }], /backoff: max \(1\) is under min \(5\)/)
  refuses([{ id: 'a' }], /^startHub\(\): gracePeriod must be/, { gracePeriod: -1 })
})

test('refuses unknown options, suggesting the nearest', () => {
  refuses([{ id: 'a', gracePeriode: 1 }], /workers\[0\]: unknown option "gracePeriode"\. Did you mean "gracePeriod"\?/)
  refuses([{ id: 'a', excec: 1 }], /Did you mean "exec"/)
  refuses([{ id: 'a', backoff: { minimum: 1 } }], /backoff: unknown option "minimum"/)
  assert.throws(() => checkOptions({ zzzzzz: 1 }, ['ready', 'schemas'], 'joinHub()'), /Known are ready, schemas\./)
  assert.throws(() => checkOptions({ __proto__: null, toString: 1 }, ['ready'], 'joinHub()'), /"toString"/)
  assert.equal(checkOptions({ ready: 'manual' }, ['ready'], 'joinHub()'), { ready: 'manual' })
})

test('resolves exec', () => {
  const seen = (value: unknown) => resolve([{ id: 'a', exec: value }])[0]?.exec
  assert.is(seen(pathToFileURL(exec)), exec)
  assert.is(seen(pathToFileURL(exec).href), exec)
  assert.is(seen(path.relative(process.cwd(), exec)), exec)
  assert.is(seen(fixture('plain.cjs')), fixture('plain.cjs'))
  refuses([{ id: 'a', exec: './nowhere.js' }], /id "a".*nowhere\.js does not exist.*working directory/)
  refuses([{ id: 'a', exec: new URL('https://example.org/x.js') }], /https:\/\/example\.org\/x\.js is no usable file/)
  refuses([{ id: 'a', exec: 5 }], /path or a file: URL, not 5\./)
})

test.run()
