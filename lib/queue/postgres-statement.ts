import pg from 'pg'
import type { Statement, Value } from './engine.ts'

export type Ask = (query: { name: string; text: string; values: unknown[] }) => Promise<pg.QueryResult>

/** Caches each text with numbered parameters, as a statement that a connection prepares at its first use. */
const statements = new Map<string, { name: string; text: string }>()

export function statement(ask: Ask, given: string): Statement {
  let known = statements.get(given)
  if (!known) {
    let count = 0
    known = { name: `q${statements.size}`, text: given.replaceAll('?', () => `$${++count}`) }
    statements.set(given, known)
  }
  const run = (values: Value[]) => ask({ ...known, values })
  return {
    get: async (...values) => (await run(values)).rows[0],
    all: async (...values) => (await run(values)).rows,
    run: async (...values) => ({ changes: (await run(values)).rowCount ?? 0 }),
    send: (...values) => void run(values),
  }
}

/** Splits rows into parts of 1, 2, 4 … 32, so that statements of few sizes are prepared. */
export function* inFewSizes<T>(all: T[]): Generator<T[]> {
  for (let start = 0; start < all.length; ) {
    const size = Math.min(32, 2 ** Math.floor(Math.log2(all.length - start)))
    yield all.slice(start, start + size)
    start += size
  }
}

/** BIGINT, which pg gives as text: no number here exceeds 2^53. */
const bigint = 20

/** For `types` of the queue's connections. Other connections of the process keep pg's own parsers. */
export const parserOf = ((oid: number, format?: 'text') =>
  oid === bigint ? Number : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser
