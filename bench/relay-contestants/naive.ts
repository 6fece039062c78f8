/** The baseline: `process.send`, as Node.js has it unless told otherwise. */
import { relayBy } from './process-send.js'

await relayBy('json')
