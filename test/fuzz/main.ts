// Feeds millions of forged inputs to all that decodes: npm run test:fuzz -- --inputs 10000000 --seed 1 --seconds 3600
import { parseArgs } from 'node:util'
import { campaign } from './campaign.js'

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '10000000' },
    seconds: { type: 'string', default: '3600' },
    seed: { type: 'string', default: String(Date.now() % 1e9) },
  },
})

// Each incarnation of the member that forges is warned of, as it should be.
process.removeAllListeners('warning')

console.log(`seed ${values.seed}, ${values.inputs} inputs, at most ${values.seconds} s`)
const { inputs, refused, seconds, parts, growth, mostAlive } = await campaign(
  Number(values.seed),
  Number(values.inputs),
  Number(values.seconds),
)
const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
console.log(`${inputs} inputs in ${seconds.toFixed(0)} s, ${refused} refused, none did harm`)
console.log(
  Object.entries(parts)
    .map(([name, count]) => `${name}: ${count}`)
    .join(', '),
)
console.log(`heap: ${mebibytes(growth)} more at the end, ${mebibytes(mostAlive)} at most while a hub was alive`)
