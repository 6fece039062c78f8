import type { Schemas } from 'hubwire'
import { z } from 'zod'
import { exclaim, half, type Shop } from './shop.js'

export const schemas: Schemas<Shop> = {
  events: { ordered: z.tuple([z.object({ id: z.number(), customer: z.string().transform(exclaim) })]) },
  tasks: {
    price: {
      input: z.object({ name: z.string().transform(exclaim), quantity: z.number().default(1) }),
      output: z.object({ total: z.number().transform(half) }),
    },
  },
}
