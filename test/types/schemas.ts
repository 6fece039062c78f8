// Compiled, never run: schemas must fit the contract.

import type { StandardSchemaV1 } from '@standard-schema/spec'
import { type } from 'arktype'
import type { Schemas, StandardSchema } from 'hubwire'
import * as v from 'valibot'
import { z } from 'zod'
import type { App, TypedApp } from './app.js'
import { the } from './assert.js'

// What the specification calls a schema is one here.
const official = the<StandardSchemaV1<unknown, string>>()
export const restated: StandardSchema<string> = official

const zod: Schemas<App> = {
  events: {
    news: z.tuple([z.object({ id: z.number(), title: z.string() })]),
    'cache.invalidate': z.tuple([z.string(), z.number().optional()]),
    tick: z.tuple([]),
    lines: z.array(z.string()),
  },
  tasks: {
    'email.send': {
      input: z.object({ to: z.email(), text: z.string().default('') }),
      output: z.object({ messageId: z.string() }),
    },
    'image.resize': { input: z.object({ image: z.instanceof(Uint8Array), width: z.number() }) },
    ping: { input: z.undefined(), output: z.literal('pong') },
    flush: { output: z.void() },
  },
}
const valibot: Schemas<App> = {
  events: {
    news: v.tuple([v.object({ id: v.number(), title: v.string() })]),
    tick: v.strictTuple([]),
    lines: v.pipe(v.array(v.string()), v.readonly()),
  },
  tasks: {
    'email.send': {
      input: v.object({ to: v.string(), text: v.string() }),
      output: v.object({ messageId: v.string() }),
    },
    find: { input: v.optional(v.number()) },
  },
}
const arktype: Schemas<App> = {
  events: { news: type([{ id: 'number', title: 'string' }]), 'cache.invalidate': type(['string', 'number?']) },
  tasks: {
    'email.send': { input: type({ to: 'string.email', text: 'string' }), output: type({ messageId: 'string' }) },
  },
}
const typed: Schemas<TypedApp> = {
  events: { news: z.tuple([z.object({ id: z.number(), title: z.string() })]) },
  tasks: { 'email.send': { output: type({ messageId: 'string' }) } },
}
const untyped: Schemas = {
  events: { any: z.tuple([z.string()]) },
  tasks: { any: { input: z.string(), output: z.any() } },
}
export const all = [zod, valibot, arktype, typed, untyped]

export const refused: Schemas<App>[] = [
  // @ts-expect-error no such event
  { events: { newz: z.tuple([]) } },
  // @ts-expect-error no such task
  { tasks: { pong: { input: z.string() } } },
  // @ts-expect-error no such group
  { event: {} },
  // @ts-expect-error the argument, not the list of arguments
  { events: { news: z.object({ id: z.number(), title: z.string() }) } },
  // @ts-expect-error a field of the wrong type
  { events: { news: z.tuple([z.object({ id: z.string(), title: z.string() })]) } },
  // @ts-expect-error too many arguments
  { events: { tick: z.tuple([z.string()]) } },
  // @ts-expect-error a field of the wrong type
  { events: { news: v.tuple([v.object({ id: v.string(), title: v.string() })]) } },
  // @ts-expect-error a field of the wrong type
  { events: { news: type([{ id: 'string', title: 'string' }]) } },
  // @ts-expect-error a field is missing
  { tasks: { 'email.send': { input: z.object({ to: z.string() }) } } },
  // @ts-expect-error an output of the wrong type
  { tasks: { 'email.send': { output: v.object({ messageId: v.number() }) } } },
  // @ts-expect-error an input of the wrong type
  { tasks: { 'email.send': { input: type({ to: 'string', text: 'number' }) } } },
  // @ts-expect-error of the input, or of the output?
  { tasks: { 'email.send': z.object({ to: z.string(), text: z.string() }) } },
  // @ts-expect-error no schema
  { events: { tick: () => true } },
]

export const refusedUntyped: Schemas[] = [
  // @ts-expect-error the argument, not the list of arguments
  { events: { any: z.string() } },
]
