import type { Schemas } from 'hubwire'
import * as v from 'valibot'
import { exclaim, half, type Shop } from './shop.js'

export const schemas: Schemas<Shop> = {
  events: {
    ordered: v.tuple([v.object({ id: v.number(), customer: v.pipe(v.string(), v.transform(exclaim)) })]),
  },
  tasks: {
    price: {
      input: v.object({ name: v.pipe(v.string(), v.transform(exclaim)), quantity: v.optional(v.number(), 1) }),
      output: v.object({ total: v.pipe(v.number(), v.transform(half)) }),
    },
  },
}
