import type { FailureReason, Outcome, Owner, PhotoId, PhotoRecord } from '../photo/record.ts'
import type { CallOutcome, QueueOperation } from '../telemetry/catalogue.ts'

/** One photo's work. Times are epoch milliseconds. */
export type Job = {
  photo: PhotoId
  owner: Owner
  /** When the last byte was received; the promise's clock starts. */
  receivedAt: number
  promiseBy: number
  /** False for a probe's photo: it gets no outcome. */
  promise: boolean
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
  ...(record.traceparent !== undefined && { traceparent: record.traceparent }),
})

export type Claim = {
  job: Job
  token: string
  /** 1 for the first attempt. */
  attempt: number
  /** A failure of this attempt is the end, so the result is stored before `fail` is called. */
  lastAttempt: boolean
  /** Epoch ms by the engine's clock. */
  claimedAt: number
  leaseUntil: number
  /** In the queue before this claim. */
  waitedMs: number
  /** What earlier attempts took: waiting in the queue, and being worked on. */
  earlier: { waitedMs: number; convertedMs: number }
}

/** The outcome that a call gave to a promise; null when it had one already or the photo is no promise. */
export type Marked = Outcome | null

/**
 * How a call ended a photo's work. `late`: it did not, because the promise was marked broken while the result claims its
 * minute; whoever holds the lease corrects the result first. `stale`: the lease is somebody else's.
 */
export type Ended = { marked: Marked } | 'late' | 'stale'

/**
 * What the queue knows of a photo. `lost`: its last attempt ended with the death of its worker, and no result is
 * stored yet. `deleted`: a tombstone, which every later enqueue meets.
 */
export type Look = {
  state: 'queued' | 'converting' | 'lost' | 'done' | 'dead' | 'deleted'
  outcome: Outcome | null
  /** Done: when result.json was durable, epoch ms. */
  durableAt: number | null
}

/** A change a person may want to hear of. A hint: what is true is in storage. `seq` grows. */
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
 * Work that is never lost and never done under a stale lease. Durable when a call resolves.
 * An engine that is busy, away or full throws; it never acknowledges falsely.
 */
export type Queue = {
  /** Idempotent by photo id, also after the photo is done. `queuedAt`: epoch ms at which stage `wait` begins. */
  enqueue(job: Job, queuedAt?: number): Promise<'queued' | 'already' | 'full' | 'deleted'>
  /** Waits for work; the lease runs from the claim. What a dead worker held is claimed again when its lease is over. */
  claim(worker: string, leaseMs: number, signal: AbortSignal): Promise<Claim | 'aborted'>
  /** `stale` also gives the attempt back: the caller was suspended past its lease and did not die, so the photo is not to blame. */
  renew(claim: Claim, leaseMs: number): Promise<'held' | 'stale'>
  /** Done: the outcome is kept when result.json was durable (epoch ms) by promiseBy, else broken. */
  complete(claim: Claim, durableAt: number): Promise<Ended>
  /**
   * Bytes proved bad end at once (void, or broken when `failedAt`, epoch ms, is late); faults of ours are tried again
   * with backoff, then dead and broken.
   */
  fail(
    claim: Claim,
    reason: FailureReason,
    failedAt: number,
  ): Promise<{ next: 'retry'; at: number } | { next: 'failed' | 'dead'; marked: Marked } | 'late' | 'stale'>
  /** Hands an unfinished claim back, uncharged: draining. */
  release(claim: Claim): Promise<'released' | 'stale'>
  /** No more work, and a tombstone until `bury`; void, or broken when late, unless the photo has its outcome. */
  remove(photo: PhotoId, owner: Owner): Promise<{ marked: Marked }>
  /** A tombstone for a photo that was never enqueued; `known` changes nothing. */
  bar(photo: PhotoId, owner: Owner): Promise<'barred' | 'known'>
  /** Storage holds nothing of a deleted photo any more: its tombstone is purged with age. */
  bury(photo: PhotoId): Promise<void>
  /** Deleted photos that are not buried, oldest first. */
  tombstones(limit: number): Promise<{ photo: PhotoId; owner: Owner }[]>
  /** Promises without an outcome whose minute is over, oldest first; `tried`: a result may be stored. */
  overdue(limit: number): Promise<{ job: Job; tried: boolean }[]>
  /** Gives an overdue promise its outcome, over all processes at most once. */
  mark(photo: PhotoId, outcome: Outcome): Promise<Marked>
  /** Photos whose last attempt died with its worker, oldest first. */
  lost(limit: number): Promise<Job[]>
  /** Ends a lost photo by the result that stands in storage now. `stale`: somebody else ended it, or it is at work again. */
  endLost(
    photo: PhotoId,
    as:
      | { state: 'done'; durableAt: number; outcome: Outcome | null }
      | { state: 'dead'; reason: FailureReason },
  ): Promise<Ended>
  look(photo: PhotoId): Promise<Look | 'unknown'>
  /** One without slots says nothing, and a restarted one (service time 0) counts with what it measured before. */
  announce(worker: Worker): Promise<void>
  stats(): Promise<Stats>
  /** Dead letters, oldest first, with what killed them. */
  deadLetters(limit: number): Promise<{ job: Job; attempts: number; reason: FailureReason }[]>
  /** Removes dead letters of that age, a limited number at once. Gives how many. */
  expireDead(ageMs: number): Promise<number>
  /** Dead letters back to work with fresh attempts; their outcome stays as it was marked. */
  replay(photo: PhotoId): Promise<'queued' | 'unknown'>
  /** Events of all owners after `after` (null: from now on), until aborted. */
  events(after: number | null, signal: AbortSignal): AsyncIterable<QueueEvent>
  /** One owner's events after `after`, oldest first; `reset` when this queue cannot know what came after it. */
  eventsOf(owner: Owner, after: number): Promise<QueueEvent[] | 'reset'>
  /** The durable record of outcomes: what kill tests compare. */
  outcomes(): AsyncIterable<{ photo: PhotoId; outcome: Outcome }>
  /** Puts back, after the loss of the queue, a photo whose result stands in storage: its outcome is remembered, not counted again. */
  restore(job: Job, settled: { outcome: Outcome | null }): Promise<'restored' | 'already'>
  /** Epoch ms by the engine's clock: the one clock of a photo's stages. */
  now(): number
  /** Age of the oldest call that the engine has not answered, in ms; 0 when it has answered all. */
  unansweredMs(): number
  close(): Promise<void>
}

/** An outcome and an id are known for so long after a photo's end. A photo older than this is never put to work. */
export const retentionMs = 8 * 86_400_000

export type OpenOptions = {
  /** Take a server whose settings may lose acknowledged photos in a crash. */
  acceptLoss?: boolean
  /** Attempts before a photo is a dead letter. */
  maxAttempts?: number
  /** Waiting photos before enqueue answers 'full'. */
  maxDepth?: number
  /**
   * Of Tintype, as the process calls itself. Its jobs carry it; it claims and settles only those of its own version, and
   * those of versions that no live converter has.
   */
  version?: string
  /** Called after each call that a photo or its person waits for. */
  observe?: (operation: QueueOperation, seconds: number, outcome: CallOutcome) => void
  /**
   * The engine cannot go on. Default: an uncaught error ends the process, and the launcher starts it again. A server that is
   * away is no such death: it comes back.
   */
  onDeath?: (error: Error) => void
}
