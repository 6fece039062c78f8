import { joinHub } from 'hubwire'
import { serve } from './library.js'

// Serves the tasks of the library that its arguments name.
const hub = await joinHub()
serve(hub, process.argv.slice(2))
