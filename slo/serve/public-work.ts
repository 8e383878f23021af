import { setImmediate as others } from 'node:timers/promises'
import { tryAgain } from '@tintype/lib/http.ts'
import { limits } from '@tintype/lib/limits.ts'
import { turns } from '@tintype/lib/turns.ts'
import type { Request, RequestHandler, Response } from 'express'

const pauseSeconds = 5

/** Computes an answer, one objective after the other, with a pause between two. */
export type Work = (request: Request, response: Response, pause: () => Promise<unknown>) => Promise<void>

/** Runs computing handlers one at a time: evaluations and alerts go on in the pauses of the one that runs. */
export function createPublicWork(): (work: Work) => RequestHandler {
  const turn = turns(1, waiting => {
    if (waiting >= limits.publicWaits.value)
      throw tryAgain(503, 'busy', 'Too many requests wait.', pauseSeconds, 'publicWaits')
  })
  return work => (request, response) => turn(() => work(request, response, others))
}
