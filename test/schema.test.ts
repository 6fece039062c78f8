import { type } from 'arktype'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as v from 'valibot'
import { z } from 'zod'
import { HubError } from '#lib/errors.js'
import type { Schemas, StandardSchema } from '#lib/schema.js'
import { Validator } from '#lib/schema.js'

interface App {
  events: {
    news: (article: { id: number; title: string }) => void
    moved: (x: number, y?: number) => void
  }
  tasks: {
    'email.send': (mail: { to: string; subject: string }) => { messageId: string }
    ping: () => void
  }
}

/** The same contract three times over, in each library's words. */
const libraries: Record<string, Schemas<App>> = {
  zod: {
    events: {
      news: z.tuple([z.object({ id: z.number(), title: z.string().trim() })]),
      moved: z.tuple([z.number(), z.number().optional()]),
    },
    tasks: {
      'email.send': {
        input: z.object({ to: z.string().min(1), subject: z.string() }),
        output: z.object({ messageId: z.string() }),
      },
    },
  },
  valibot: {
    events: {
      news: v.tuple([v.object({ id: v.number(), title: v.pipe(v.string(), v.trim()) })]),
    },
    tasks: {
      'email.send': {
        input: v.object({ to: v.pipe(v.string(), v.minLength(1)), subject: v.string() }),
        output: v.object({ messageId: v.string() }),
      },
    },
  },
  arktype: {
    events: {
      news: type([{ id: 'number', title: 'string.trim' }]),
      moved: type(['number', 'number?']),
    },
    tasks: {
      'email.send': {
        input: type({ to: 'string > 0', subject: 'string' }),
        output: type({ messageId: 'string' }),
      },
    },
  },
}

function errorOf(action: () => unknown): HubError {
  try {
    action()
  } catch (error) {
    assert.instance(error, HubError)
    return error as HubError
  }
  assert.unreachable('it did not throw')
  throw new Error()
}

async function rejection(promise: unknown): Promise<HubError> {
  assert.instance(promise, Promise)
  try {
    await promise
  } catch (error) {
    assert.instance(error, HubError)
    return error as HubError
  }
  assert.unreachable('it did not reject')
  throw new Error()
}

function payloadError(action: () => unknown): string {
  const error = errorOf(action)
  assert.is(error.code, 'ERR_HUB_PAYLOAD')
  return error.message
}

function misuse(schemas: unknown): string {
  const error = errorOf(() => new Validator(schemas as Schemas))
  assert.is(error.code, 'ERR_INVALID_ARG_VALUE')
  return error.message
}

/** A validator by hand, to answer what no library would. */
function schema(validate: (value: unknown) => unknown): StandardSchema {
  return { '~standard': { version: 1, vendor: 'test', validate: validate as never } }
}

for (const [library, schemas] of Object.entries(libraries)) {
  const validator = new Validator(schemas)

  test(`${library}: what the schemas return is what counts`, () => {
    assert.equal(validator.eventArguments('news', [{ id: 1, title: ' a ' }]), [{ id: 1, title: 'a' }])
    const mail = { to: 'a@example.org', subject: '' }
    assert.equal(validator.taskInput('email.send', mail), mail)
    assert.equal(validator.taskOutput('email.send', { messageId: 'x' }), { messageId: 'x' })
  })

  test(`${library}: a refusal names the event or task, and the path of each issue`, () => {
    const news = payloadError(() => validator.eventArguments('news', [{ id: '1', title: 2 }]))
    assert.match(news, /^The schema of event "news" refused its arguments: /)
    assert.match(news, /args\[0\]\.id: .*number/)
    assert.match(news, /; args\[0\]\.title: .*string/)
    const input = payloadError(() => validator.taskInput('email.send', { to: '', subject: 's' }))
    assert.match(input, /^The schema of task "email\.send" refused its input: input\.to: /)
    const output = payloadError(() => validator.taskOutput('email.send', {}))
    assert.match(output, /^The schema of task "email\.send" refused its output: output\.messageId: /)
  })

  test(`${library}: too few arguments are refused`, () => {
    assert.match(
      payloadError(() => validator.eventArguments('news', [])),
      /^The schema of event "news" refused its arguments: args/,
    )
  })
}

test('what has no schema passes as it is', () => {
  for (const validator of [new Validator(undefined), new Validator({}), new Validator({ events: {}, tasks: {} })]) {
    const args = [1, { a: 2 }]
    assert.is(validator.eventArguments('news', args), args)
    assert.is(validator.taskInput('ping', args), args)
    assert.is(validator.taskOutput('ping', undefined), undefined)
    assert.is(validator.hasEvent('news'), false)
    assert.is(validator.hasInput('ping'), false)
    assert.is(validator.hasOutput('ping'), false)
  }
})

test('an entry that is undefined is as good as none', () => {
  const validator = new Validator({ events: { a: undefined }, tasks: { t: undefined, u: { input: undefined } } })
  assert.is(validator.hasEvent('a'), false)
  assert.is(validator.hasInput('u'), false)
})

test('it tells which names have schemas, and takes __proto__ and its kin for names', () => {
  const tuple = z.tuple([z.string()])
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
  const empty = new Validator({ events: {}, tasks: {} })
  const full = new Validator({
    events: Object.fromEntries(names.map((name) => [name, tuple])),
    tasks: Object.fromEntries(names.map((name) => [name, { input: z.string() }])),
  })
  for (const name of names) {
    assert.is(empty.hasEvent(name), false)
    assert.is(empty.hasInput(name), false)
    assert.is(empty.hasOutput(name), false)
    assert.is(full.hasEvent(name), true)
    assert.is(full.hasInput(name), true)
    assert.is(full.hasOutput(name), false)
    assert.match(
      payloadError(() => full.eventArguments(name, [1])),
      `event "${name}"`,
    )
  }
})

test('an asynchronous schema of a task is awaited', async () => {
  const known = schema(async (value) =>
    value === 'ada' ? { value: 'Ada' } : { issues: [{ message: 'unknown user' }] },
  )
  const validator = new Validator({ tasks: { greet: { input: known, output: known } } })
  const promise = validator.taskInput('greet', 'ada')
  assert.instance(promise, Promise)
  assert.is(await promise, 'Ada')
  assert.is(await validator.taskOutput('greet', 'ada'), 'Ada')
  const error = await rejection(validator.taskInput('greet', 'eve'))
  assert.is(error.code, 'ERR_HUB_PAYLOAD')
  assert.match(error.message, 'The schema of task "greet" refused its input: input: unknown user. Send what')
})

test("zod's asynchronous refinements are awaited for tasks", async () => {
  const even = z.number().refine(async (value) => value % 2 === 0, 'must be even')
  const validator = new Validator({ tasks: { halve: { input: even } } })
  assert.is(await validator.taskInput('halve', 2), 2)
  assert.match((await rejection(validator.taskInput('halve', 3))).message, 'input: must be even')
})

test('an asynchronous schema of an event is refused, and its own rejection is nobody else’s trouble', async () => {
  const unhandled: unknown[] = []
  const note = (reason: unknown) => unhandled.push(reason)
  process.on('unhandledRejection', note)
  const validator = new Validator({ events: { news: schema(() => Promise.reject(new Error('late'))) } })
  assert.match(
    payloadError(() => validator.eventArguments('news', [1])),
    /The schema of event "news" is asynchronous.*use a synchronous schema, or a task/,
  )
  await new Promise((resolve) => setTimeout(resolve, 10))
  process.off('unhandledRejection', note)
  assert.equal(unhandled, [])
})

test('at most five issues are told, the rest is counted', () => {
  const validator = new Validator({ tasks: { t: { input: z.array(z.number()) } } })
  const message = payloadError(() => validator.taskInput('t', Array(12).fill('x')))
  assert.match(message, 'input[4]: ')
  assert.not.match(message, 'input[5]: ')
  assert.match(message, '; and 7 more. ')
  assert.not.match(
    payloadError(() => validator.taskInput('t', Array(5).fill('x'))),
    'more',
  )
})

test('paths read as a program would write them', () => {
  const path = ['a', 0, { key: 'b-c' }, Symbol('s'), { key: 1 }, 'ключ', 'a b']
  const validator = new Validator({ tasks: { t: { input: schema(() => ({ issues: [{ message: 'no', path }] })) } } })
  assert.match(
    payloadError(() => validator.taskInput('t', 1)),
    'input.a[0]["b-c"][Symbol(s)][1].ключ["a b"]: no.',
  )
})

test('a long message of a library is cut', () => {
  const validator = new Validator({
    tasks: { t: { input: schema(() => ({ issues: [{ message: 'x'.repeat(5000) }] })) } },
  })
  assert.ok(payloadError(() => validator.taskInput('t', 1)).length < 500)
})

test('the schema of an argument instead of the arguments is explained', () => {
  const validator = new Validator({
    events: { news: z.object({ id: z.number() }), any: z.any(), one: z.any().transform(() => 1) },
  })
  assert.match(
    payloadError(() => validator.eventArguments('news', [{ id: 1 }])),
    /args: .*describes the list of its arguments: a tuple/,
  )
  assert.equal(validator.eventArguments('any', [1]), [1])
  assert.match(
    payloadError(() => validator.eventArguments('one', [1])),
    'returned no list of arguments, but 1. ',
  )
})

test('a schema that throws, rejects or answers nonsense is told from a refusal', async () => {
  const bug = new Error('bug')
  const throwing = schema(() => {
    throw bug
  })
  const rejecting = schema(() => Promise.reject(bug))
  const validator = new Validator({
    events: { e: throwing },
    tasks: {
      t: { input: throwing, output: rejecting },
      u: { input: schema(() => undefined), output: schema(() => ({})) },
    },
  })
  const event = errorOf(() => validator.eventArguments('e', []))
  assert.is(event.code, 'ERR_HUB_PAYLOAD')
  assert.is(event.cause, bug)
  assert.match(event.message, 'The schema of event "e" failed while it validated its arguments: bug. ')
  assert.is(errorOf(() => validator.taskInput('t', 1)).cause, bug)
  const late = await rejection(validator.taskOutput('t', 1))
  assert.is(late.code, 'ERR_HUB_PAYLOAD')
  assert.is(late.cause, bug)
  assert.match(
    payloadError(() => validator.taskInput('u', 1)),
    'answered undefined, which is no Standard Schema result',
  )
  assert.match(
    payloadError(() => validator.taskOutput('u', 1)),
    'answered an object, which is no Standard Schema result',
  )
})

test('issues without a list, a message or a path are still refusals', () => {
  for (const issues of [[], [null], ['x'], [{ path: 'a' }], true, 'x']) {
    const validator = new Validator({ tasks: { t: { input: schema(() => ({ issues, value: 1 })) } } })
    assert.match(
      payloadError(() => validator.taskInput('t', 1)),
      /refused its input: (it names no reason|input: not valid)\. /,
    )
  }
})

test('what is no schema is refused at once, by name', () => {
  const s = z.string()
  assert.match(misuse(null), 'schemas must be an object with events and tasks, not null')
  assert.match(misuse([]), 'schemas must be an object with events and tasks, not an array')
  assert.match(misuse({ event: {} }), 'schemas.event: unknown option "event". Known are events and tasks')
  assert.match(misuse({ events: 1 }), 'schemas.events must be an object, not 1')
  assert.match(misuse({ events: { news: {} } }), 'schemas.events.news is not a Standard Schema, but an object: give it')
  assert.match(
    misuse({ events: { 'a.b': () => true } }),
    'schemas.events["a.b"] is not a Standard Schema, but a function',
  )
  assert.match(misuse({ events: { error: s } }), 'schemas.events.error: "error" is a local event')
  assert.match(misuse({ tasks: { t: s } }), 'schemas.tasks.t is a schema, but of the input or of the output?')
  assert.match(misuse({ tasks: { t: 'x' } }), 'schemas.tasks.t must be an object with input and output, not "x"')
  assert.match(
    misuse({ tasks: { t: { in: s } } }),
    'schemas.tasks.t.in: unknown option "in". Known are input and output',
  )
  assert.match(misuse({ tasks: { t: { input: 5 } } }), 'schemas.tasks.t.input is not a Standard Schema, but 5')
  const v2 = { '~standard': { version: 2, validate: () => ({ value: 1 }) } }
  assert.match(
    misuse({ tasks: { t: { output: v2 } } }),
    'schemas.tasks.t.output is not a Standard Schema, but an object',
  )
})

test.run()
