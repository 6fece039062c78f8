/** No connections at all. */
import { run } from './contestant.js'

await run({ open: async () => [], serve() {} })
