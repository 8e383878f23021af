import { setImmediate as nextTurn } from 'node:timers/promises'
import { tryAgain } from '@tintype/lib/http.ts'
import { limits } from '@tintype/lib/limits.ts'
import { turns } from '@tintype/lib/turns.ts'
import type { Request, RequestHandler, Response } from 'express'

/** Unused time that is saved, so that several requests in a row are not refused. */
const burstMs = 3_000
const leastPauseSeconds = 5

/** Computes an answer, one objective after the other, with a pause between two. */
export type Work = (request: Request, response: Response, pause: () => Promise<void>) => Promise<void>

/**
 * Runs computing handlers one at a time and within a share of the time, so that requests do not delay evaluations and
 * alerts.
 */
export function createPublicWork(clock = () => performance.now()): (work: Work) => RequestHandler {
  let leftMs = burstMs
  let filledAt = clock()
  const busy = (seconds: number, limit: 'publicWork' | 'publicWaits') =>
    tryAgain(503, 'busy', 'Too much was asked for in the last seconds.', seconds, limit)
  const turn = turns(1, waiting => {
    if (waiting >= limits.publicWaits.value) throw busy(leastPauseSeconds, 'publicWaits')
  })
  const run = async (work: Work, request: Request, response: Response): Promise<void> => {
    let began = clock()
    leftMs = Math.min(burstMs, leftMs + ((began - filledAt) * limits.publicWork.value) / 1000)
    filledAt = began
    if (leftMs <= 0)
      throw busy(leastPauseSeconds + Math.ceil(-leftMs / limits.publicWork.value), 'publicWork')
    const charge = () => {
      leftMs -= clock() - began
    }
    const pause = async () => {
      charge()
      await nextTurn()
      began = clock()
    }
    await work(request, response, pause).finally(charge)
  }
  return work => (request, response) => turn(() => run(work, request, response))
}
