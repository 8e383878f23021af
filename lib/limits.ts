import type { variables } from './variables.ts'

type VariableName = keyof typeof variables

/** One bounded thing: what is bounded, who enforces it, and what happens at the limit. */
export type Limit = {
  what: string
  /** The number, or the variable that sets it. */
  value: number | VariableName
  unit: string
  owner: 'web' | 'converter' | 'logs' | 'slo' | 'every process' | 'queue' | 'storage'
  /** What the one who reaches it sees. */
  answer: string
}

/**
 * Every bounded resource. `tintype_limit_reached_total{limit}` counts each time that one is reached; the reference
 * prints the table; test/tidy.test.ts fails when no test names a limit. Limits of web hold for one web process.
 */
export const limits = {
  photoAge: {
    what: 'age of a photo',
    value: 'KEEP_PHOTOS_DAYS',
    unit: 'days, 0 is for ever',
    owner: 'web',
    answer: 'the photo is removed, as if its person had deleted it',
  },
  keyAge: {
    what: 'age of an Idempotency-Key',
    value: 'KEEP_KEYS_DAYS',
    unit: 'days, 0 is for ever',
    owner: 'web',
    answer: 'the key is forgotten: a retry with it is a new photo',
  },
  deadLetterAge: {
    what: 'age of a dead letter',
    value: 'KEEP_DEAD_LETTERS_DAYS',
    unit: 'days, 0 is for ever',
    owner: 'web',
    answer: 'the queue forgets it and it cannot be replayed; the photo stays failed',
  },
  storageCall: {
    what: 'time of one request to S3, its three tries together',
    value: 10,
    unit: 'seconds',
    owner: 'storage',
    answer: 'the call fails with code TimeoutError; web answers an upload with 503 and Retry-After',
  },
  storageConnections: {
    what: 'connections of one process to S3',
    value: 256,
    unit: 'connections',
    owner: 'storage',
    answer: 'the request waits for one that is free, as part of its time',
  },
} as const satisfies Record<string, Limit>

export type LimitName = keyof typeof limits
export const limitNames = Object.keys(limits) as LimitName[]
