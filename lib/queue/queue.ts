import type { FailureReason, Outcome, Owner, PhotoId, PhotoRecord } from '../photo/record.ts'
import type { CallOutcome, QueueOperation } from '../telemetry/catalogue.ts'

/** The job of one photo. Times are epoch milliseconds. */
export type Job = {
  photo: PhotoId
  owner: Owner
  /** When the last byte was received and the promise began. */
  receivedAt: number
  promiseBy: number
  /** False for a probe's photo: it gets no outcome. */
  promise: boolean
  /** W3C traceparent of the accepting request, the parent of the converter's spans. */
  traceparent?: string
  /** Until when (epoch ms) this session's detail is raised. */
  detailUntil?: number
}

/** The job of an accepted photo. */
export const jobOf = (record: PhotoRecord): Job => ({
  photo: record.id,
  owner: record.owner,
  receivedAt: Date.parse(record.receivedAt),
  promiseBy: Date.parse(record.promiseBy),
  promise: !record.probe,
  ...(record.traceparent !== undefined && { traceparent: record.traceparent }),
})

export type Claim = {
  job: Job
  token: string
  /** 1 for the first attempt. */
  attempt: number
  /** No attempt follows, so the result is stored before `fail` is called. */
  lastAttempt: boolean
  /** Epoch ms by the engine's clock. */
  claimedAt: number
  leaseUntil: number
  /** Time in the queue before this claim. */
  waitedMs: number
  /** Time of earlier attempts: waiting in the queue, and being converted. */
  earlier: { waitedMs: number; convertedMs: number }
}

/** The outcome that a call gave to a promise; null when the promise had one or the photo is none. */
export type Marked = Outcome | null

/**
 * How a call ended a job. `late`: the job did not end, because the promise is marked broken although the result says otherwise; the
 * holder of the lease corrects the result first. `stale`: another worker has the lease.
 */
export type Ended = { marked: Marked } | 'late' | 'stale'

/**
 * The queue's state of a photo. `lost`: the worker of its last attempt died, and no result is stored yet. `deleted`: a
 * tombstone, which refuses every later enqueue.
 */
export type Look = {
  state: 'queued' | 'converting' | 'lost' | 'done' | 'dead' | 'deleted'
  outcome: Outcome | null
  /** Done: when result.json was durable, epoch ms. */
  durableAt: number | null
}

/** A change of a photo's state, with a growing `seq`. It is a hint: storage has the authoritative state. */
export type QueueEvent = {
  seq: number
  photo: PhotoId
  owner: Owner
  state: 'queued' | 'converting' | 'ready' | 'failed' | 'overdue' | 'deleted'
}

/** What a converter announces, for admission: its slots, and the mean seconds that a slot takes for a photo (0: not measured). */
export type Worker = { id: string; slots: number; serviceSeconds: number }

export type Stats = {
  depth: number
  /** `seq` of the newest event. */
  lastEvent: number
  oldestSeconds: number
  claimed: number
  dead: number
  /** Slots of the workers seen within the last 10 s. */
  liveSlots: number
  /** Mean over the live slots that have measured (above 0); null when none has. */
  serviceSeconds: number | null
}

/**
 * A durable job queue with leases. A change is durable when its call resolves. Calls throw while the engine is busy, away or
 * its disk is full.
 */
export type Queue = {
  /** Idempotent by photo id, also after the job ended. `queuedAt`: when stage `wait` begins, epoch ms. */
  enqueue(job: Job, queuedAt?: number): Promise<'queued' | 'already' | 'full' | 'deleted'>
  /** Waits for a job. The lease begins with the claim. A dead worker's job is claimed again when its lease ends. */
  claim(worker: string, leaseMs: number, signal: AbortSignal): Promise<Claim | 'aborted'>
  /** `stale` also restores the attempt: the caller was suspended past its lease and did not die because of the photo. */
  renew(claim: Claim, leaseMs: number): Promise<'held' | 'stale'>
  /** Done: the outcome is kept when result.json was durable (epoch ms) by promiseBy, else broken. */
  complete(claim: Claim, durableAt: number): Promise<Ended>
  /**
   * A bad file ends the job at once (void, or broken when `failedAt`, epoch ms, is late). Other failures are retried with
   * backoff; after the last one the job is a dead letter and its promise broken.
   */
  fail(
    claim: Claim,
    reason: FailureReason,
    failedAt: number,
  ): Promise<{ next: 'retry'; at: number } | { next: 'failed' | 'dead'; marked: Marked } | 'late' | 'stale'>
  /** Returns an unfinished claim without charging the attempt, when a converter drains. */
  release(claim: Claim): Promise<'released' | 'stale'>
  /** Ends the job and leaves a tombstone until `bury`. The promise is void, or broken when late, unless it has an outcome. */
  remove(photo: PhotoId, owner: Owner): Promise<{ marked: Marked }>
  /** Adds a tombstone for a photo that was never enqueued. `known`: it was, and nothing changes. */
  bar(photo: PhotoId, owner: Owner): Promise<'barred' | 'known'>
  /** Called when storage holds no file of a deleted photo any more: its tombstone is later purged by age. */
  bury(photo: PhotoId): Promise<void>
  /** Deleted photos that are not buried, oldest first. */
  tombstones(limit: number): Promise<{ photo: PhotoId; owner: Owner }[]>
  /** Overdue promises without an outcome, oldest first. `tried`: a result may be stored. */
  overdue(limit: number): Promise<{ job: Job; tried: boolean }[]>
  /** Gives an overdue promise its outcome, at most once over all processes. */
  mark(photo: PhotoId, outcome: Outcome): Promise<Marked>
  /** Photos whose last attempt died with its worker, oldest first. */
  lost(limit: number): Promise<Job[]>
  /** Ends a lost photo by the result in storage. `stale`: another process ended it or claimed it again. */
  endLost(
    photo: PhotoId,
    as:
      | { state: 'done'; durableAt: number; outcome: Outcome | null }
      | { state: 'dead'; reason: FailureReason },
  ): Promise<Ended>
  look(photo: PhotoId): Promise<Look | 'unknown'>
  /** An announcement without slots is ignored. A restarted worker (service time 0) keeps its measured time. */
  announce(worker: Worker): Promise<void>
  stats(): Promise<Stats>
  /** Dead letters, oldest first, with their reasons. */
  deadLetters(limit: number): Promise<{ job: Job; attempts: number; reason: FailureReason }[]>
  /** Removes dead letters of that age, a limited number a call. Returns how many. */
  expireDead(ageMs: number): Promise<number>
  /** Enqueues a dead letter again with fresh attempts. Its outcome stays. */
  replay(photo: PhotoId): Promise<'queued' | 'unknown'>
  /** Events of all owners after `after` (null: from now on), until aborted. */
  events(after: number | null, signal: AbortSignal): AsyncIterable<QueueEvent>
  /** One owner's events after `after`, oldest first; `reset` when the queue no longer has all of them. */
  eventsOf(owner: Owner, after: number): Promise<QueueEvent[] | 'reset'>
  /** The recorded outcomes, which kill tests compare. */
  outcomes(): AsyncIterable<{ photo: PhotoId; outcome: Outcome }>
  /** After the loss of the queue: adds a photo that has a result in storage, with its outcome, which is not counted again. */
  restore(job: Job, settled: { outcome: Outcome | null }): Promise<'restored' | 'already'>
  /** Epoch ms by the engine's clock, which all stages of a photo use. */
  now(): number
  /** Age of the oldest unanswered call in ms; 0 when there is none. */
  unansweredMs(): number
  close(): Promise<void>
}

/** How long an outcome and an id are kept after a photo's end. An older photo is never enqueued. */
export const retentionMs = 8 * 86_400_000

export type OpenOptions = {
  /** Accept a server whose settings can lose acknowledged photos in a crash. */
  acceptLoss?: boolean
  /** Attempts before a photo is a dead letter. */
  maxAttempts?: number
  /** Waiting photos before enqueue answers 'full'. */
  maxDepth?: number
  /**
   * The process's version of Tintype, stored in its jobs. It claims and settles only jobs of its own version, and of
   * versions that no live converter has.
   */
  version?: string
  /** Called after each call that a photo or its user waits for. */
  observe?: (operation: QueueOperation, seconds: number, outcome: CallOutcome) => void
  /**
   * Called when the engine cannot continue. Default: an uncaught error ends the process, and the launcher restarts it. A server
   * that is away is no such case.
   */
  onDeath?: (error: Error) => void
}
