import assert from 'node:assert/strict'
import type { Hub } from 'hubwire'
import { test } from 'uvu'
import { withHub, worker } from './support.js'
import { type Job, takePart } from './workers/order.js'

const OPTIONS = {
  workers: [
    { id: 'ann', exec: worker('order') },
    { id: 'bob', exec: worker('order') },
  ],
}

async function check(hub: Hub, jobs: { from: string; to: string; seed: number }[], count: number): Promise<void> {
  const ask = (task: string) => Promise.all(jobs.map((job) => hub.to(job.from).request(task, { ...job, count } as Job)))
  await ask('send')
  const results = (await ask('check')) as { complete: boolean }[]
  results.forEach((result, i) => {
    assert.ok(result.complete, `${JSON.stringify(jobs[i])}: ${JSON.stringify(result)}`)
  })
}

for (const [from, to, count] of [
  ['ann', 'bob', 20_000],
  ['primary', 'bob', 10_000],
  ['ann', 'primary', 10_000],
  ['ann', 'ann', 10_000],
  ['primary', 'primary', 10_000],
] as const) {
  test(
    `what ${from} sends to ${to} arrives in the order sent, whatever the mix`,
    withHub(OPTIONS, async (hub) => {
      takePart(hub)
      await check(hub, [{ from, to, seed: 1 }], count)
    }),
  )
}

test(
  'and when all send to all at once',
  withHub(OPTIONS, async (hub) => {
    takePart(hub)
    const ids = ['ann', 'bob', 'primary']
    const pairs = ids.flatMap((from) => ids.map((to, i) => ({ from, to, seed: 10 + i })))
    // One pair after the other from each sender, since events to everybody are among them; all senders at once.
    for (let i = 0; i < ids.length; i++) {
      const jobs = pairs.filter((_, index) => index % ids.length === i)
      for (const id of ids) for (const to of ids) await hub.to(id).request('check', { to, count: 0, seed: 0 })
      await check(hub, jobs, 1000)
    }
  }),
)

test.run()
