// Serves tasks each of which takes its time in another place: in its handler, or in the schema of its input or output.
import { joinHub, type StandardSchema, type TaskContext } from 'hubwire'

let open = () => {}
const gate = new Promise<void>((resolve) => {
  open = resolve
})

/** A schema that accepts all, when the gate is open. */
const slow: StandardSchema = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: async (value) => {
      hub.to('primary').emit('begun', { id: hub.id, key: value })
      await gate
      return { value }
    },
  },
}

const hub = await joinHub({ schemas: { tasks: { input: { input: slow }, output: { output: slow } } } })

function report(key: unknown, { signal }: TaskContext): void {
  const aborted = () => hub.to('primary').emit('aborted', { id: hub.id, key, reason: signal.reason.code })
  if (signal.aborted) aborted()
  else signal.addEventListener('abort', aborted)
}

hub.on('open', () => open())
hub.handle('handler', (key, context) => {
  report(key, context)
  hub.to('primary').emit('begun', { id: hub.id, key })
  return gate
})
hub.handle('input', report)
hub.handle('output', (key, context) => {
  report(key, context)
  return key
})
