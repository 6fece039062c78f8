/** `process.send` with the structured clone in place of JSON. */
import { relayBy } from './process-send.js'

await relayBy('advanced')
