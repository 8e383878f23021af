import { join } from 'node:path'
import type { FailureReason, Owner, PhotoId, PhotoRecord } from '../photo/record.ts'
import type { CallOutcome, Outcome, QueueOperation } from '../telemetry/catalogue.ts'

/** One photo's work. Times are epoch milliseconds. */
export type Job = {
  photo: PhotoId
  owner: Owner
  /** When the last byte was received; the promise's clock starts. */
  receivedAt: number
  promiseBy: number
  /** False for a probe's photo: it gets no outcome. */
  promise: boolean
  /** Lower is sooner; FIFO within. */
  priority: number
  /** W3C traceparent of the accepting request; the converter's spans hang below it. */
  traceparent?: string
  /** Until when (epoch ms) this session's detail was raised; travels with the photo. */
  detailUntil?: number
}

/** The work that an accepted photo's record asks for. */
export const jobOf = (record: PhotoRecord): Job => ({
  photo: record.id,
  owner: record.owner,
  receivedAt: Date.parse(record.receivedAt),
  promiseBy: Date.parse(record.promiseBy),
  promise: !record.probe,
  priority: 0,
  ...(record.traceparent !== undefined && { traceparent: record.traceparent }),
})

export type Claim = {
  job: Job
  token: string
  /** 1 for the first attempt. */
  attempt: number
  /** A failure of this attempt is the end, so the result is to be stored before the queue hears of it. */
  lastAttempt: boolean
  leaseUntil: number
  /** In the queue before this claim. */
  waitedMs: number
}

/** Given to a photo at most once, by the call that returns it; null when it had one already or is no promise. */
export type Marked = Outcome | null

/** 'dead' with no result.json in storage: its workers died of it, and the person is to be told that it failed. */
export type JobState = 'queued' | 'converting' | 'done' | 'dead' | 'unknown'

/** A change a person may want to hear of. A hint: what is true is in storage. `seq` grows. */
export type QueueEvent = {
  seq: number
  photo: PhotoId
  owner: Owner
  state: 'queued' | 'converting' | 'ready' | 'failed' | 'overdue' | 'deleted'
}

/** What a converter says of itself, for admission: photos a slot finishes, and how many slots are alive. */
export type Worker = { id: string; slots: number; serviceSeconds: number }

export type Stats = {
  depth: number
  /** `seq` of the newest event; 0 before the first. */
  lastEvent: number
  oldestSeconds: number
  claimed: number
  dead: number
  /** Slots of the workers seen within the last 10 s. */
  liveSlots: number
  /** Mean over the live slots that have measured (above 0); null when none has. */
  serviceSeconds: number | null
  /** Seconds since any worker was seen; null when none ever was. */
  workerSeenSeconds: number | null
}

/**
 * Work that is never lost and never done under a stale lease. Durable when a call resolves.
 * An engine that is busy or full of disk throws; it never acknowledges falsely.
 */
export type Queue = {
  /** Idempotent by photo id, also after the photo is done. */
  enqueue(job: Job): Promise<'queued' | 'already' | 'full'>
  /** Waits for work; the lease runs from the claim. What a dead worker held is claimed again when its lease is over. */
  claim(worker: string, leaseMs: number, signal: AbortSignal): Promise<Claim | 'aborted'>
  renew(claim: Claim, leaseMs: number): Promise<'held' | 'stale'>
  /** Done: the outcome is kept when the thumbnails were durable (epoch ms) by promiseBy, else broken. */
  complete(claim: Claim, durableAt: number): Promise<{ marked: Marked } | 'stale'>
  /** Bytes proved bad end at once (void, or broken when late); faults of ours are tried again with backoff, then dead and broken. */
  fail(
    claim: Claim,
    reason: FailureReason,
  ): Promise<{ next: 'retry'; at: number } | { next: 'failed' | 'dead'; marked: Marked } | 'stale'>
  /** Hands an unfinished claim back, uncharged: draining. */
  release(claim: Claim): Promise<'released' | 'stale'>
  /** The person deleted it: no more work; void unless it had its outcome. */
  cancel(photo: PhotoId): Promise<{ marked: Marked } | 'unknown'>
  /**
   * Marks broken every promise that is over, in time or because its workers died of it; each photo at most once,
   * over all webs and converters.
   */
  markOverdue(now: number): Promise<Job[]>
  state(photo: PhotoId): Promise<JobState>
  announce(worker: Worker): Promise<void>
  stats(): Promise<Stats>
  /** Dead letters, oldest first, with what killed them. */
  deadLetters(limit: number): Promise<{ job: Job; attempts: number; reason: FailureReason }[]>
  /** Dead letters back to work with fresh attempts; their outcome stays as it was marked. */
  replay(photo: PhotoId): Promise<'queued' | 'unknown'>
  /** Events after `after` (null: from now on), until aborted. */
  events(after: number | null, signal: AbortSignal): AsyncIterable<QueueEvent>
  /** The durable record of outcomes: what kill tests compare. */
  outcomes(): AsyncIterable<{ photo: PhotoId; outcome: Outcome }>
  /** Puts back, after the loss of the queue, a photo whose result stands in storage: its outcome is remembered, not counted again. */
  restore(job: Job, settled: { outcome: Outcome | null }): Promise<'restored' | 'already'>
  close(): Promise<void>
}

export type OpenOptions = {
  /** Attempts before a photo is a dead letter. */
  maxAttempts?: number
  /** Waiting photos before enqueue answers 'full'. */
  maxDepth?: number
  /** Called after each call that a photo or its person waits for. */
  observe?: (operation: QueueOperation, seconds: number, outcome: CallOutcome) => void
}

/** Where the queue is: what QUEUE_URL says, or else a file in DATA_DIR. */
export const queueUrl = (given: string, dataDir: string): string =>
  given || `sqlite:${join(dataDir, 'queue', 'queue.sqlite')}`

/**
 * Opens the queue that a URL names: `sqlite:` and a file.
 * @throws Error naming the URL and what it may be.
 */
export async function open(url: string, options: OpenOptions = {}): Promise<Queue> {
  if (url.startsWith('sqlite:'))
    return (await import('./sqlite.ts')).openSqlite(url.slice('sqlite:'.length), options)
  throw new Error(`QUEUE_URL "${url}" must be sqlite:FILE`)
}
