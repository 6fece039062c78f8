import { type } from 'arktype'
import type { Schemas } from 'hubwire'
import { exclaim, half, type Shop } from './shop.js'

export const schemas: Schemas<Shop> = {
  events: { ordered: type([{ id: 'number', customer: type('string').pipe(exclaim) }]) },
  tasks: {
    price: {
      input: type({ name: type('string').pipe(exclaim), quantity: 'number = 1' }),
      output: type({ total: type('number').pipe(half) }),
    },
  },
}
