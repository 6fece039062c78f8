import type { Schemas } from 'hubwire'
import * as v from 'valibot'
import { exclaim, type Shop } from './shop.js'

/** A schema that takes its time, and sometimes for ever. */
const known = v.pipeAsync(
  v.string(),
  v.transformAsync(async (name) => {
    if (name === 'never') await new Promise(() => {})
    if (name === 'nothing') throw new Error('no stock')
    return exclaim(name)
  }),
)

export const schemas: Schemas<Shop> = {
  events: { audited: v.tupleAsync([known]) },
  tasks: { reserve: { input: known, output: known } },
}
