import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'

// From build/test/ to the top.
const top = fileURLToPath(new URL('../..', import.meta.url))
const page = fs.readFileSync(path.join(top, 'docs', 'guarantees.md'), 'utf8')

test('the tests that docs/guarantees.md names are there, and so are the scripts', () => {
  const files = [...page.matchAll(/`((?:test|examples)\/[\w./-]+)`/g)].map(([, file = '']) => file)
  assert.ok(files.length > 30, String(files.length))
  for (const file of files) assert.ok(fs.existsSync(path.join(top, file)), file)
  const { scripts } = JSON.parse(fs.readFileSync(path.join(top, 'package.json'), 'utf8'))
  for (const [, script = ''] of page.matchAll(/`npm run ([\w:]+)/g)) assert.ok(scripts[script], script)
})

test('each guarantee names what shows it', () => {
  const [promised = ''] = page.split('\n## What is not guaranteed')
  const rows = promised.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| fault |'))
  assert.ok(rows.length > 20, String(rows.length))
  for (const row of rows) assert.match(row, /(`test\/.*|the campaign|`npm run .*) \|$/)
})

test('the unit on the page is that of the example', () => {
  const unit = fs.readFileSync(path.join(top, 'examples', 'systemd', 'hubwire.service'), 'utf8').split('\n')
  const [, shown = ''] = /```ini\n([\s\S]*?)```/.exec(page) ?? []
  for (const line of shown.trim().split('\n')) assert.ok(unit.includes(line), line)
})

test.run()
