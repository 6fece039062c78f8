import { z } from 'zod'

const orderInput = z.strictObject({
  email: z.email(),
  items: z
    .array(z.strictObject({ name: z.string().trim().min(1).max(100), quantity: z.int().min(1).max(1000) }))
    .min(1)
    .max(100),
})

export type OrderInput = z.infer<typeof orderInput>

/** Why a body is not an order: one entry for each thing that is wrong with it. */
export class InvalidOrder extends Error {
  readonly problems: { path: string; message: string }[]

  constructor(problems: { path: string; message: string }[]) {
    super('this is not an order')
    this.problems = problems
  }
}

export function parseOrder(body: string): OrderInput {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch (error) {
    throw new InvalidOrder([{ path: '', message: `not JSON: ${(error as Error).message}` }])
  }
  const parsed = orderInput.safeParse(value)
  if (parsed.success) return parsed.data
  throw new InvalidOrder(parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message })))
}
