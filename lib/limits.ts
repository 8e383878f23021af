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
  logStreams: {
    what: 'streams of one day: a process that starts anew begins another',
    value: 4_096,
    unit: 'streams',
    owner: 'logs',
    answer: '503; the entries of further ones wait in their process’s journal',
  },
  unreadOutput: {
    what: 'standard output or error that its reader has not taken',
    value: 2 ** 20,
    unit: 'bytes',
    owner: 'every process',
    answer: 'what is written further is dropped; the log has every entry all the same',
  },
  photoPixels: {
    what: 'pixels of a photo, and less of a format that is decoded whole; each side 65,535',
    value: 'MAX_PIXELS',
    unit: 'pixels',
    owner: 'converter',
    answer: '422, or the photo fails as over-limit; its promise is void',
  },
  tiffPages: {
    what: 'pages of a TIFF of which the largest is sought',
    value: 100,
    unit: 'pages',
    owner: 'converter',
    answer: 'the thumbnail shows the first page',
  },
} as const satisfies Record<string, Limit>

export type LimitName = keyof typeof limits
export const limitNames = Object.keys(limits) as LimitName[]

const reached = new Map<LimitName, number>()
/** How often each limit was reached where no metrics are at hand; every registry of the process shows it. */
export const limitsReached: ReadonlyMap<LimitName, number> = reached
export const countLimit = (name: LimitName, by = 1): void =>
  void reached.set(name, (reached.get(name) ?? 0) + by)
