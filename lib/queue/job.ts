import { daysMs } from '../day.ts'
import type { Outcome, Owner, PhotoId, PhotoRecord } from '../photo/record.ts'

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
  traceparent?: string | undefined
}

export type PhotoRef = Pick<Job, 'owner' | 'photo' | 'traceparent'>

export const jobOf = (record: PhotoRecord): Job => ({
  photo: record.id,
  owner: record.owner,
  receivedAt: Date.parse(record.receivedAt),
  promiseBy: Date.parse(record.promiseBy),
  promise: !record.probe,
  traceparent: record.traceparent,
})

/** The part of a claim that proves its lease. */
export type Lease = { job: Pick<Job, 'photo'>; token: string }

/** The outcome that a call gave to a promise; null when the promise already had one, or the photo is a probe's. */
export type Marked = Outcome | null

/**
 * How a call ended a job. `late`: the promise is marked broken although the result says otherwise, so the job did not
 * end: the holder of the lease corrects the result first. `stale`: another worker has the lease.
 */
export type Ended = { marked: Marked } | 'late' | 'stale'

/**
 * The queue's state of a photo. `lost`: the worker of its last attempt died, and no result is stored yet. `deleted`: a
 * tombstone, which refuses every later enqueue.
 */
export type JobStatus = {
  state: 'queued' | 'converting' | 'lost' | 'done' | 'dead' | 'deleted'
  outcome: Outcome | null
  /** Done: when result.json was durable, epoch ms. */
  durableAt: number | null
}

/** A change of a photo's state. `seq` grows. The event is a hint: storage has the authoritative state. */
export type QueueEvent = {
  seq: number
  photo: PhotoId
  owner: Owner
  state: 'queued' | 'converting' | 'ready' | 'failed' | 'overdue' | 'deleted'
}

/** A converter's announcement, for admission: its slots, and a slot's mean seconds for a photo (0: not measured). */
export type Worker = { id: string; slots: number; serviceSeconds: number }

export type Stats = {
  depth: number
  lastEvent: number
  oldestSeconds: number
  claimed: number
  dead: number
  /** Slots of the workers seen within the last 10 s. */
  liveSlots: number
  /** Mean over the live slots with a measured time; null when there is none. */
  serviceSeconds: number | null
}

/** How long an outcome and an id are kept after a photo's end. An older photo is never enqueued. */
export const retentionMs = daysMs(8)
