/** All parts, in the order of the results. */
import type { Part } from '../comparison.js'
import { httpPart } from './http.js'
import { relay } from './relay.js'
import { requestsPart } from './requests.js'
import { socketIoPart } from './socketio.js'
import { tasks } from './tasks.js'

export const PARTS: readonly Part[] = [relay, requestsPart, tasks, httpPart, socketIoPart]
