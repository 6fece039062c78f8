// A hub under load, and a nemesis: npm run test:faults -- --seconds 600 --seed 1
//
// A seed repeats the faults, their victims, order and pauses; what the processes are doing at the moment is up to the
// machine. A failing round is repeated with the seed that it prints. --rounds asks for so many, however long they take.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { campaign } from './campaign.js'

/** How long a round rages, and takes in all, in seconds. */
const RAGE = 25
const ROUND = 30

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    seed: { type: 'string', default: String(Date.now() % 1e9) },
    rage: { type: 'string', default: String(RAGE) },
    rounds: { type: 'string' },
    mutations: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
})
if (values.mutations) {
  const { plant } = await import('./mutations.js')
  process.exitCode = (await plant(Number(values.seed), values.only)) ? 0 : 1
} else {
  await run()
}

async function run(): Promise<void> {
  // Private sockets of this campaign alone.
  const own = fs.mkdtempSync(path.join(os.tmpdir(), 'hubwire-faults-'))
  process.env.TMPDIR = own
  // Of what workers are made to send wrongly the primary is warned, as it should be.
  process.removeAllListeners('warning')
  const seed = Number(values.seed)
  const rage = Number(values.rage)
  const rounds = Number(values.rounds ?? Math.max(1, Math.floor(Number(values.seconds) / (rage + ROUND - RAGE))))
  console.log(`seed ${seed}, ${rounds} rounds of ${rage} s`)
  const latest = values.rounds === undefined ? (Number(values.seconds) - rage) * 1000 : Number.POSITIVE_INFINITY
  const outcome = await campaign({ seed, rounds, rage: rage * 1000, latest, tell: console.log })
  const { violations, failingSeed, counts, heaps, folder } = outcome
  console.log(
    Object.entries(counts)
      .map(([name, count]) => `${name}: ${count}`)
      .join(', '),
  )
  const mebibytes = heaps.map((bytes) => (bytes / 2 ** 20).toFixed(1))
  console.log(`the primary's heap at the end of each round, in MiB: ${mebibytes.join(' ')}`)
  if (violations.length === 0) {
    fs.rmSync(own, { recursive: true, force: true })
    console.log('nothing was lost, doubled, misled or left over')
    return
  }
  for (const line of violations.slice(0, 40)) console.log(`VIOLATION ${line}`)
  console.log(`${violations.length} violations; histories in ${folder}`)
  console.log(`repeat it: npm run test:faults -- --seconds ${rage + 5} --rage ${rage} --seed ${failingSeed ?? seed}`)
  process.exitCode = 1
}
