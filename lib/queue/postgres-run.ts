import type { Engine } from './engine.ts'
import type { Method } from './port.ts'
import type { Write } from './postgres-lane.ts'
import { inFewSizes } from './postgres-statement.ts'
import * as reads from './reads.ts'
import * as writes from './writes.ts'

const operations = { ...reads, ...writes } as unknown as Record<
  Write['method'],
  (engine: Engine, ...args: unknown[]) => Promise<unknown>
>

export const isRead = (method: Method): boolean => method in reads

export const run = (engine: Engine, { method, args }: Write): Promise<unknown> =>
  operations[method](engine, ...args)

/**
 * Runs calls that name the photo or worker whose row they change. Calls for different ones run concurrently, so that their
 * statements are sent together. All processes use the same order, so that no two transactions deadlock.
 */
export async function runNamed(engine: Engine, calls: Write[]): Promise<unknown[]> {
  const answers = new Map<Write, unknown>()
  const chains = new Map<string, Promise<unknown>>()
  for (const call of calls.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))) {
    const before = chains.get(nameOf(call)) ?? Promise.resolve()
    const runOne = async () => answers.set(call, await run(engine, call))
    chains.set(nameOf(call), before.then(runOne))
  }
  await Promise.all(chains.values())
  return calls.map(call => answers.get(call))
}

function nameOf({ args: [subject] }: Write): string {
  if (typeof subject === 'string') return subject
  const { photo, id } = subject as { photo?: string; id?: string }
  return photo ?? id ?? ''
}

/** Runs calls that change rows which they do not name: one after the other, and all claims as one. */
export async function runUnnamed(engine: Engine, calls: Write[]): Promise<unknown[]> {
  const answers = new Map<Write, unknown>()
  const isClaim = ({ method }: Write) => method === 'claim'
  for (const call of calls.filter(call => !isClaim(call))) answers.set(call, await run(engine, call))
  for (const claims of inFewSizes(calls.filter(isClaim))) {
    const requests = claims.map(({ args }) => ({ worker: args[0] as string, leaseMs: args[1] as number }))
    for (const [i, answer] of (await writes.claimAll(engine, requests)).entries())
      answers.set(claims[i] as Write, answer)
  }
  return calls.map(call => answers.get(call))
}
