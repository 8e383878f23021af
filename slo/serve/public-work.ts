import { Problem } from '@tintype/lib/http.ts'
import { limits } from '@tintype/lib/limits.ts'
import type { RequestHandler } from 'express'

/** Unused time that is saved up, so that several requests in a row are not refused. */
const burstMs = 3_000

/**
 * Runs handlers that compute, as long as they together keep to their share of the time: requests without end must not block
 * the evaluation and its alerts. One request is short by the bounds of its input.
 */
export function createPublicWork(
  clock = () => performance.now(),
): (handler: RequestHandler) => RequestHandler {
  let leftMs = burstMs
  let filledAt = clock()
  return handler => (request, response, next) => {
    const began = clock()
    leftMs = Math.min(burstMs, leftMs + ((began - filledAt) * limits.publicWork.value) / 1000)
    filledAt = began
    if (leftMs <= 0)
      throw new Problem(503, 'busy', 'Too much was asked for in the last seconds. Try again in 5 s.', {
        limit: 'publicWork',
        headers: { 'Retry-After': '5' },
      })
    try {
      handler(request, response, next)
    } finally {
      leftMs -= clock() - began
    }
  }
}
