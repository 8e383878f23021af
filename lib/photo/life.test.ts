import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { everyOutcome } from '../../test/outcomes.ts'
import { rebuild } from '../../tools/rebuild-queue.ts'
import type { Claim } from '../queue/index.ts'
import { openStorage, type Storage } from '../storage/index.ts'
import { accept } from './accept.ts'
import { findPhoto, type PhotoContext } from './find.ts'
import { countingContext, openModelQueue, owner, record } from './fixture.ts'
import { isBytesFault, newPhotoId, photoKey, photoPrefix } from './record.ts'
import { buryTombstones, remove } from './remove.ts'
import { followEarlier, outcomeOf, ready, refuse } from './settle.ts'
import { giveUp, settleOverdue, sweepStorage } from './sweep.ts'

/**
 * The model: people, webs, converters, sweepers and rebuilds at once, on real SQLite and real files, with a call that
 * fails, fails after it was done, or ends its process. Afterwards everything that still runs comes to its end, and the
 * records must agree.
 */

const minute = 60_000
const leaseMs = 5_000
const forever = { photosMs: Infinity, keysMs: Infinity }
const never = new AbortController().signal
const crash = { code: 'timeout', detail: 'x' } as const
const undecodable = { code: 'undecodable', detail: 'x' } as const

/** The nth call of an actor, and what happens to it. */
type Fault = {
  at: number
  how: 'fails' | 'fails when done' | 'ends the process' | 'ends the process when done'
}
/** `after`: turns that it lets pass first. */
type Actor = { fault: Fault | null; after: number } & (
  | { does: 'upload'; key: string | null; probe: boolean; ageMs: number }
  | { does: 'convert'; ends: 'ready' | 'undecodable' | 'fails' }
  | { does: 'remove' | 'lose'; which: number }
  | { does: 'wait'; ms: number }
  | { does: 'sweep' | 'walk' | 'rebuild' | 'purge' }
)

const fault: fc.Arbitrary<Fault | null> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(null) },
  {
    weight: 1,
    arbitrary: fc.record({
      at: fc.nat(7),
      how: fc.constantFrom('fails', 'fails when done', 'ends the process', 'ends the process when done'),
    }),
  },
)
const does = <D extends Actor['does']>(weight: number, name: D, more: object = {}) => ({
  weight,
  arbitrary: fc.record({
    fault,
    after: fc.integer({ min: 0, max: name === 'upload' ? 6 : 25 }),
    does: fc.constant(name),
    ...more,
  }) as fc.Arbitrary<Actor>,
})
const actor: fc.Arbitrary<Actor> = fc.oneof(
  does(4, 'upload', {
    key: fc.option(fc.constantFrom('a', 'b')),
    probe: fc.constantFrom(false, false, false, true),
    ageMs: fc.constantFrom(0, 0, minute - 3, 2 * minute),
  }),
  does(8, 'convert', { ends: fc.constantFrom('ready', 'ready', 'undecodable', 'fails') }),
  does(2, 'remove', { which: fc.nat(3) }),
  does(2, 'lose', { which: fc.nat(3) }),
  does(4, 'wait', { ms: fc.constantFrom(leaseMs + 1_000, leaseMs + 1_000, minute) }),
  ...(['sweep', 'walk', 'rebuild', 'purge'] as const).map(name => does(2, name)),
)

class Ended extends Error {}

/** Runs one call at a time, of those that wait the next by `order`; until the actors have ended. */
function takeTurns(order: readonly number[]) {
  const waiting: (() => Promise<unknown>)[] = []
  return {
    run: <T>(call: () => Promise<T>): Promise<T> =>
      new Promise<T>((resolve, reject) => {
        waiting.push(() => call().then(resolve, reject))
      }),
    async until(ended: Promise<unknown>): Promise<void> {
      let going = true
      ended.then(() => {
        going = false
      })
      for (let turn = 0; going; ) {
        await new Promise(resolve => setImmediate(resolve)) // the caller of the last call goes on to its next
        const at = (order[turn % order.length] ?? 0) % (waiting.length || 1)
        const [call] = waiting.splice(at, 1)
        if (call) turn++
        await call?.()
      }
    },
  }
}
type Turns = ReturnType<typeof takeTurns>

/** What an actor sees of storage and queue: each call waits for its turn, and one meets the actor's fault. */
function through<T extends object>(
  port: T,
  { fault }: Actor,
  turns: Turns,
  step: { calls: number; ended: boolean },
  names: readonly string[],
): T {
  return new Proxy(port, {
    get(target, name: string) {
      const method = target[name as keyof T]
      if (typeof method !== 'function' || !names.includes(name)) return method
      return (...args: unknown[]) => {
        const call = step.calls++
        return turns.run(async () => {
          if (step.ended) throw new Ended()
          const how = fault?.at === call ? fault.how : null
          const goWrong = () => {
            if (how?.startsWith('ends')) {
              step.ended = true
              throw new Ended()
            }
            throw Object.assign(new Error('the disk failed'), { code: 'EIO' })
          }
          if (how === 'fails' || how === 'ends the process') goWrong()
          const answer = await method.apply(target, args)
          if (how) goWrong()
          return answer
        })
      }
    },
  })
}

const storageCalls = ['put', 'putAll', 'read', 'delete']
const queueCalls = [
  'enqueue',
  'claim',
  'complete',
  'fail',
  'remove',
  'bury',
  'tombstones',
  'overdue',
  'mark',
  'claimLost',
  'look',
  'restore',
  'renew',
  'replay',
]

type World = {
  storage: Storage
  queue: ReturnType<typeof openModelQueue>
  acked: Map<string, string | null>
  removed: Set<string>
  /** Photos that lost their result, as by a restore of storage: a later one may have another outcome than was counted. */
  lost: Set<string>
}

async function upload(
  context: PhotoContext,
  { key, probe, ageMs }: Extract<Actor, { does: 'upload' }>,
  now: () => number,
) {
  const receivedAt = now() - ageMs
  const name = key === null ? undefined : `keys/ab/${owner}/${key}`
  const arrival = {
    photo: newPhotoId(now()),
    owner,
    key: name,
    body: Readable.from([Buffer.from('pixels')]),
    disposable: false,
    maxBytes: 100,
    received: Promise.resolve({ bytes: 6, receivedAt: 0, clientSeconds: 0, sha256: key ?? 'none' }),
    recordOf: (id: string) =>
      record({
        id,
        probe,
        receivedAt: new Date(receivedAt).toISOString(),
        promiseBy: new Date(receivedAt + minute).toISOString(),
      }),
    confirm: async () => {},
  }
  return accept(context, arrival)
}

async function convert(
  context: PhotoContext,
  ends: 'ready' | 'undecodable' | 'fails',
): Promise<'nothing' | undefined> {
  const claim = await context.queue.claim('w', leaseMs, never)
  if (claim === 'aborted') return 'nothing'
  if (claim.attempt > 1 && (await followEarlier(context, claim))) return
  await settleClaim(context, claim, ends)
}

function settleClaim(context: PhotoContext, claim: Claim, ends: 'ready' | 'undecodable' | 'fails') {
  if (ends !== 'ready') return refuse(context, claim, ends === 'fails' ? crash : undecodable)
  const body = Buffer.from('small')
  const made = {
    thumbnails: [{ side: 320, format: 'jpg' as const, width: 4, height: 3, body }],
    width: 4,
    height: 3,
  }
  const now = context.queue.now()
  return ready(context, claim, made, { begunAt: now, encodedAt: now })
}

async function act(
  world: World,
  actor: Actor,
  clock: { now: number },
  context: PhotoContext,
  turns: Turns,
): Promise<void> {
  for (let turn = 0; turn <= actor.after; turn++) await turns.run(async () => clock.now++)
  if (actor.does === 'upload') {
    const answer = await upload(context, actor, () => clock.now)
    if (typeof answer === 'object') world.acked.set(answer.photo, actor.key)
  } else if (actor.does === 'convert') {
    for (let tries = 0; tries < 10; tries++) await convert(context, actor.ends)
  } else if (actor.does === 'remove') {
    const photo = [...world.acked.keys()][actor.which]
    if (photo === undefined) return
    world.removed.add(photo) // from here on it may be gone, or not
    await remove(context, { owner, photo })
  } else if (actor.does === 'lose') {
    const photo = [...world.acked.keys()][actor.which]
    if (photo === undefined) return
    world.lost.add(photo)
    await context.storage.delete(photoKey(owner, photo, 'result.json'))
  } else if (actor.does === 'wait') clock.now += actor.ms
  else if (actor.does === 'sweep') {
    await settleOverdue(context)
    await giveUp(context)
    await buryTombstones(context)
  } else if (actor.does === 'walk') await sweepStorage(context, forever, () => {}, never)
  else if (actor.does === 'rebuild') await rebuild(context)
  else await world.queue.purge()
}

/** Everything that still runs comes to its end: what leases hold is free, what waits is converted, what is over is marked. */
async function comeToAnEnd(world: World, clock: { now: number }, context: PhotoContext): Promise<void> {
  for (let pass = 0; pass < 4; pass++) {
    clock.now += 30_000
    await sweepStorage(context, forever, () => {}, never)
    while ((await convert(context, 'ready')) !== 'nothing');
    await settleOverdue(context)
    await giveUp(context)
    await buryTombstones(context)
  }
  const { depth, claimed } = await world.queue.stats()
  expect({ depth, claimed }).toEqual({ depth: 0, claimed: 0 })
}

test('whatever happens in whatever order, no acknowledged photo is lost, and all records agree', {
  timeout: 600_000,
}, async () => {
  const base = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'tintype-life-'))
  let runs = 0
  try {
    await fc.assert(
      fc.asyncProperty(
        fc.array(actor, { minLength: 8, maxLength: 16, size: 'max' }),
        fc.array(fc.nat(13), { minLength: 80, maxLength: 80 }),
        async (actors, order) => {
          const clock = { now: Date.now() }
          const storage = await openStorage(`file:${join(base, String(runs++))}`)
          const queue = openModelQueue(() => clock.now, { maxAttempts: 2, maxDepth: 3, version: '' })
          const context = countingContext({ storage, queue })
          const world: World = { storage, queue, acked: new Map(), removed: new Set(), lost: new Set() }
          const turns = takeTurns(order)
          const all = Promise.all(
            actors.map(actor => {
              const step = { calls: 0, ended: false }
              const own: PhotoContext = {
                ...context,
                storage: through(storage, actor, turns, step, storageCalls),
                queue: through(queue, actor, turns, step, queueCalls),
              }
              // What is thrown is a crash, or an error that its caller would see.
              return act(world, actor, clock, own, turns).catch(() => {})
            }),
          )
          await turns.until(all)
          await comeToAnEnd(world, clock, context)
          await expectAgreement(world, context, actors)
          await expectRetries(world, context, actors, clock)
          await queue.close()
        },
      ),
      {
        numRuns: Number(process.env.LIFE_RUNS ?? 150),
        ...(process.env.LIFE_SEED && { seed: Number(process.env.LIFE_SEED) }),
      },
    )
  } finally {
    await rm(base, { recursive: true, force: true })
  }
})

async function expectAgreement(
  { storage, queue, acked, removed, lost }: World,
  context: ReturnType<typeof countingContext>,
  actors: Actor[],
) {
  const outcomes = new Map<string, string>()
  for await (const { photo, outcome } of everyOutcome(queue)) outcomes.set(photo, outcome)
  const lastCalls = actors.filter(({ fault }) => fault?.how.endsWith('when done')).length

  // Each mark is counted at most once, and goes uncounted only where the call that gave it did not return.
  const counted = new Map(context.counted.settled)
  expect(context.counted.settled.length, 'an outcome counted twice').toBe(counted.size)
  for (const [photo, outcome] of counted) expect(outcomes.get(photo), `outcome of ${photo}`).toBe(outcome)
  expect(outcomes.size - counted.size, 'outcomes uncounted').toBeLessThanOrEqual(lastCalls)
  expect(new Set(context.counted.accepted).size, 'accepted twice').toBe(context.counted.accepted.length)

  for (const photo of acked.keys()) {
    const found = await findPhoto(storage, owner, photo)
    const known = await queue.look(photo)
    if (known === 'unknown') throw new Error(`acknowledged ${photo} is unknown to the queue`)
    if (known.state === 'deleted') {
      expect(removed.has(photo), 'not deleted by a user').toBe(true)
      expect(
        await Array.fromAsync(storage.list(photoPrefix(owner, photo))),
        'a deleted photo stays deleted',
      ).toEqual([])
      continue
    }
    if (found === 'not-found' || !found.result)
      throw new Error(`acknowledged ${photo} is lost: ${known.state}`)
    const { record, result } = found
    const ours = result.state === 'failed' && !isBytesFault(result.reason)
    expect(known.state).toBe(ours ? 'dead' : 'done')
    const job = { promise: !record.probe, promiseBy: Date.parse(record.promiseBy) }
    if (!lost.has(photo))
      expect(known.outcome, `what the queue says of ${photo}`).toBe(outcomeOf(job, result))
    const stages = result.state === 'ready' ? Object.values(result.stages) : []
    expect(stages.every(seconds => seconds >= 0)).toBe(true)
  }
}

/** Whatever an upload met, its retry is answered, and by the same photo once one was acknowledged. */
async function expectRetries(world: World, context: PhotoContext, actors: Actor[], clock: { now: number }) {
  for (const key of new Set(actors.flatMap(each => (each.does === 'upload' && each.key ? [each.key] : [])))) {
    const earlier = [...world.acked].filter(each => each[1] === key).map(([photo]) => photo)
    expect(new Set(earlier).size, 'one key, one photo').toBeLessThanOrEqual(1)
    const answer = await upload(
      context,
      { does: 'upload', key, probe: false, ageMs: 0, fault: null, after: 0 },
      () => clock.now,
    )
    const [photo] = earlier
    if (typeof answer !== 'object') {
      expect(answer).toBe('deleted')
      expect(photo !== undefined && world.removed.has(photo), `a retry is refused: ${answer}`).toBe(true)
    } else if (photo !== undefined) expect(answer.photo).toBe(photo)
  }
}
