// Rolling reloads under load: npm run test:handover -- --reloads 10 --websockets 1000 --polling 200 --upgrading 50
//
// Each client counts, and is counted to; what clients and processes saw is compared at the end. First nobody is to notice
// anything; then processes are killed in the middle of their handover, and nobody but their own clients is to notice.
import { parseArgs } from 'node:util'
import { kills, type Outcome, type Plan, reloads } from './scenarios.js'

/** An outcome of many wrongs is told by the first ones. */
const MAX_TOLD = 40

const { values } = parseArgs({
  options: {
    websockets: { type: 'string', default: '1000' },
    polling: { type: 'string', default: '200' },
    upgrading: { type: 'string', default: '50' },
    workers: { type: 'string', default: '4' },
    reloads: { type: 'string', default: '10' },
    crowds: { type: 'string', default: '2' },
    pace: { type: 'string', default: '1000' },
    seed: { type: 'string', default: String(Date.now() % 1e9) },
    only: { type: 'string', default: '' },
  },
})
const pace = Number(values.pace)
const plan: Plan = {
  cast: {
    workers: Number(values.workers),
    clients: {
      websocket: Number(values.websockets),
      polling: Number(values.polling),
      upgrading: Number(values.upgrading),
    },
    crowds: Number(values.crowds),
    pace: { up: pace, down: pace },
    seed: Number(values.seed),
  },
  reloads: Number(values.reloads),
  tell: (line) => console.log(`  ${line}`),
}
const SCENARIOS: Record<string, () => Promise<Outcome>> = {
  reloads: () => reloads(plan),
  'kill the old': () => kills(plan, 'old'),
  'kill the new': () => kills(plan, 'new'),
}

console.log(`seed ${values.seed}`)
for (const [name, run] of Object.entries(SCENARIOS)) {
  if (!name.includes(values.only)) continue
  console.log(name)
  const begun = performance.now()
  const { violations, counts, handover } = await run()
  const seconds = ((performance.now() - begun) / 1000).toFixed(0)
  console.log(
    `  ${Object.entries({ ...handover, ...counts })
      .map(([what, count]) => `${what} ${count}`)
      .join(', ')}; ${seconds} s`,
  )
  for (const line of violations.slice(0, MAX_TOLD)) console.log(`  VIOLATION ${line}`)
  if (violations.length > 0) {
    console.log(`  ${violations.length} violations`)
    process.exitCode = 1
  } else {
    console.log('  nothing was lost, doubled, out of order or left behind')
  }
}
