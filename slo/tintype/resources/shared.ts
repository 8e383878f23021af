import { exhausted, part, type Resource, taken } from '../../diagnose/resource.ts'
import {
  ahead,
  gauge,
  mean,
  minus,
  named,
  over,
  plus,
  rate,
  rest,
  type Signal,
} from '../../diagnose/signals.ts'
import { type Diagnosed, failedCalls, loopOf } from '../../diagnose/stages.ts'

/** What several stages use: disks, queue, clocks, and the process that serves them. */

export const storage = (operation: string, job: string): Signal =>
  mean('tintype_storage_seconds', { operation, job })

/** What a call to the queue takes beyond a write beside it: a slow disk is slow for both. */
export const queueCall = (operation: string, job: string): Signal =>
  minus(mean('tintype_queue_seconds', { operation, job }), storage('put', job))

const restartQueue =
  'who holds the lock of the queue’s file (fuser, lslocks)? End it, or restart who hangs in it'
export const slowQueue = (stage: Diagnosed, operation: string, job: string): Resource =>
  part(stage, 'queue-stalled', queueCall(operation, job), restartQueue)

export const findWriter =
  'find who else uses the disk (iostat, /proc/pressure/io), or move storage to a faster one'
export const slowDisk = (
  stage: Diagnosed,
  operation: string,
  job: string,
  blames?: readonly Diagnosed[],
): Resource => part(stage, 'disk-latency', storage(operation, job), findWriter, blames && { blames })

/** Failing in a fifth of its calls, nobody can count on it. */
const failingLimit = 0.2
/** A file system with fewer files left is as good as full. */
const fewFiles = 1_000

/** What storage cannot do without for `job`: room, files, an answer. The specific comes first. */
export const usedStorage = (stage: Diagnosed, job: string, blames?: readonly Diagnosed[]): Resource[] => {
  const of = { job }
  const more = blames && { blames }
  const room = rest(over(gauge('tintype_disk_free_bytes', of), gauge('tintype_disk_size_bytes', of)))
  const files = gauge('tintype_disk_free_files', of)
  const filesUsed: Signal = {
    ...files,
    query: `clamp_min(1 - ${files.query} / ${fewFiles}, 0)`,
    value(view) {
      const free = files.value(view)
      return free === null ? null : Math.max(0, 1 - free / fewFiles)
    },
  }
  const enlarge = 'free space on the data disk or enlarge it; npm run logs -- sizing tells what grows'
  const moreFiles = 'the file system takes no more files (df -i): remove some, or make one with more inodes'
  const errors = `storage answers ${job} with errors (mount, rights, a broken disk): its log says which`
  return [
    exhausted(stage, 'disk-full', named(`tintype_disk_free_bytes{job="${job}"}`, room), enlarge, more),
    exhausted(stage, 'file-count', filesUsed, moreFiles, more),
    exhausted(stage, 'descriptors', gauge('tintype_descriptors_used_ratio', of), raiseLimit, more),
    exhausted(stage, 'dependency-away', failedCalls('storage', job), errors, {
      limit: failingLimit,
      ...more,
    }),
  ]
}

const raiseLimit = 'raise the limit (ulimit -n) and find what is not closed'

/** Nobody gets work from, or brings it to, a queue that answers with errors. */
export const failingQueue = (stage: Diagnosed, job: string): Resource =>
  exhausted(
    stage,
    'queue-stalled',
    failedCalls('queue', job),
    `the queue answers ${job} with errors: its log says which; ${restartQueue}`,
    { limit: failingLimit },
  )

/** What a process's event loop waited for: a processor, its own memory, or its own code. */
export const eventLoop = (stage: Diagnosed, job: string): Resource[] => {
  const [waited, ran] = [
    rate('tintype_processor_wait_seconds_total', { job }),
    rate('process_cpu_seconds_total', { job }),
  ]
  return [
    taken(
      stage,
      'cpu',
      over(waited, plus(waited, ran)),
      `${job} waits for a processor: find who else uses it (top), or give it cores of its own`,
    ),
    taken(
      stage,
      'memory',
      rate('nodejs_gc_duration_seconds_sum', { job }),
      `${job} spends its time collecting garbage: raise its memory, then look for what it keeps`,
    ),
    part(
      stage,
      'event-loop',
      loopOf(job),
      `profile ${job} (node --cpu-prof): something computes where only waiting is allowed`,
    ),
  ]
}

/** Without direction; null unless both are there. */
const minusEither = (one: Signal, other: Signal): Signal => ({
  ...one,
  query: `abs(${one.query} - ${other.query})`,
  reads: [...one.reads, ...other.reads],
  value(view) {
    const [a, b] = [one.value(view), other.value(view)]
    return a === null || b === null ? null : Math.abs(a - b)
  },
})

/** How far the clocks of web and converter are apart: what one began and the other ended seems that much longer. */
export const clocksApart: Signal = named(
  'tintype_clock_seconds - timestamp(tintype_clock_seconds)',
  minusEither(
    ahead('tintype_clock_seconds', { job: 'converter' }),
    ahead('tintype_clock_seconds', { job: 'web' }),
  ),
)

export const clockSkew = (stage: Diagnosed): Resource =>
  part(stage, 'clock-skew', clocksApart, 'nothing is slow: set the clocks (chronyc tracking on each machine)')
