/** All parts, in the order of the results. */
import type { Part } from '../comparison.js'
import { costs } from './costs.js'
import { delegation } from './delegation.js'
import { httpPart } from './http.js'
import { relay } from './relay.js'
import { reload } from './reload.js'
import { requestsPart } from './requests.js'
import { socketIoPart } from './socketio.js'
import { storm } from './storm.js'
import { tasks } from './tasks.js'
import { worker } from './worker.js'

export const PARTS: readonly Part[] = [
  relay,
  requestsPart,
  tasks,
  delegation,
  httpPart,
  socketIoPart,
  worker,
  storm,
  reload,
  costs,
]
