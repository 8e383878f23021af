import { setTimeout as sleep } from 'node:timers/promises'
import { faultPoint } from '../fault.ts'
import { askBounded, excerpt } from '../http/bounded-request.ts'
import { parseJson } from '../json.ts'
import { startPulse } from '../repeat.ts'
import { type EntryBatch, readBatches } from './batches.ts'
import { entryVersion } from './entry.ts'
import { type OnTrouble, renameSegments, type ShippableJournal } from './journal.ts'

export type Destination = {
  /** The log server's address; undefined while it is not known. Until then entries wait in the journal. */
  url: () => string | undefined
  token(): string
}

/** Entries are collected for `gatherMs`, because a batch costs the server an fsync; for longer after a large batch. */
const gatherMs = 500
const busyGatherMs = 2_000
const busyEntries = 20
const firstBackoffMs = 100
const maxBackoffMs = 5_000
/** Interval at which an unknown address is looked up again. */
const unknownAddressMs = 200
const answerTimeoutMs = 15_000
const stopWithinMs = 2_000

/**
 * Sends the journal's entries in order, one batch at a time, each until the log server has acknowledged it. The journal
 * of an ended process is shipped up to its end or the first failure; `done` resolves then.
 */
export function startShipping(journal: ShippableJournal, destination: Destination, onTrouble: OnTrouble) {
  const stopping = new AbortController()
  const { signal } = stopping
  let appended = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => appended.resolve())
  journal.onAppend(() => appended.resolve())
  const pulse = startPulse('log shipping')
  const pause = (ms: number) => sleep(ms, undefined, { signal, ref: false }).catch(() => {})
  let triesUntil = journal.isLive ? Infinity : 0

  const batches = readBatches(journal)

  const run = async () => {
    let failures = 0
    let rewound = false
    let lastEntries = 0
    for (;;) {
      pulse.beat()
      try {
        // Read before the journal; otherwise entries that are appended in between would not be shipped.
        const isLast = signal.aborted || !journal.isLive
        if (!isLast) appended = Promise.withResolvers()
        const batch = await batches.next()
        if (batch === 'drained') {
          if (isLast) return
          pulse.rest()
          await appended.promise
          await pause(lastEntries < busyEntries ? gatherMs : busyGatherMs)
          continue
        }
        const url = destination.url()
        if (url === undefined) {
          if (isLast) return
          await pause(unknownAddressMs)
          continue
        }
        faultPoint('ship.before-send')
        const answer: Reply = await send(url, destination.token(), batch, rewound).catch(error => {
          if (isTooLarge(error)) batches.halve(batch)
          throw error
        })
        faultPoint('ship.answered')
        lastEntries = batch.last - batch.first + 1
        if ('acked' in answer) batches.acknowledged(batch, answer.acked)
        else if ('expected' in answer) batches.rewind(batch, answer.expected)
        else {
          renameSegments(journal.segments(), batch.stream)
          onTrouble(new Error(answer.taken))
        }
        rewound = 'expected' in answer
        failures = 0
      } catch (error) {
        failures++
        onTrouble(new Error('log entries wait in the journal', { cause: error }))
        if (performance.now() >= triesUntil && !isTooLarge(error as Error)) return
        await (signal.aborted ? sleep(backoffMs(failures)) : pause(backoffMs(failures)))
      }
    }
  }
  const done = run()
  return {
    done,
    /** Says that nothing was sent for too long without an error, else null. */
    stalled: pulse.stalled,
    unshipped: batches.unshipped,
    /** Ships the remaining entries for a limited time. `flushMs`: how long it tries a server that does not answer. */
    async stop(flushMs = 0): Promise<void> {
      triesUntil = performance.now() + flushMs
      stopping.abort()
      await Promise.race([done, sleep(Math.max(stopWithinMs, flushMs), undefined, { ref: false })])
    },
  }
}

/** Doubles with each failure, with jitter, so that services that lost the server together do not return together. */
const backoffMs = (failures: number): number =>
  Math.min(firstBackoffMs * 2 ** (failures - 1), maxBackoffMs) * (0.5 + Math.random() / 2)

/** A proxy refused a batch as too large. */
class TooMuch extends Error {}
/** Whether half of the batch may pass: a slow line does not carry a large one in time. */
const isTooLarge = (error: Error): boolean => error instanceof TooMuch || error.name === 'TimeoutError'

type Reply = { acked: number } | { expected: number } | { taken: string }
type ServerAnswer = { acked?: number; expected?: number; type?: string; detail?: string }

/** `rewound`: the server asked for older entries, and the batch starts with the oldest one in the journal. */
async function send(url: string, token: string, { stream, body }: EntryBatch, rewound: boolean) {
  const address = `${url.replace(/\/$/, '')}/streams/${stream}`
  const {
    status,
    headers,
    body: text,
  } = await askBounded(address, {
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/x-ndjson',
      'content-length': body.length,
      'tintype-clock': new Date().toISOString(),
      'tintype-entries': String(entryVersion),
      ...(rewound && { 'tintype-oldest': 'true' }),
    },
    body,
    signal: AbortSignal.timeout(answerTimeoutMs),
    maxMiB: 1,
  })
  const answer = parseJson<ServerAnswer>(text.toString()) ?? {} // a proxy may answer in the server's place
  if (status === 200 && Number.isSafeInteger(answer.acked)) return { acked: answer.acked as number }
  if (status === 409 && !rewound && Number.isSafeInteger(answer.expected))
    return { expected: answer.expected as number }
  if (answer.type === '/problems/taken') return { taken: `${answer.detail}` }
  const Failure = status === 413 ? TooMuch : Error
  // A redirect is not followed: LOGS_URL must be the address that it leads to.
  const more = answer.detail ?? (headers.location ? `to ${headers.location}` : excerpt(text))
  throw new Failure(`the log server answered ${status} ${more}`)
}
