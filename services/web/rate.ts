import { Problem } from '@tintype/lib/http.ts'
import { remember } from './bounded.ts'

type Bucket = { tokens: number; at: number }

/**
 * A token bucket for each visitor: `perMinute` uploads at once, refilled evenly.
 * Gives a check that throws Problem 429 with Retry-After.
 */
export function uploadRate(perMinute: number, now: () => number = () => performance.now()) {
  const perMs = perMinute / 60_000
  const buckets = new Map<string, Bucket>()
  return (visitor: string): void => {
    const bucket = buckets.get(visitor) ?? { tokens: perMinute, at: now() }
    const tokens = Math.min(perMinute, bucket.tokens + (now() - bucket.at) * perMs)
    remember(buckets, visitor, { tokens: Math.max(0, tokens - 1), at: now() })
    if (tokens >= 1) return
    const retrySeconds = Math.ceil((1 - tokens) / perMs / 1000)
    throw new Problem(
      429,
      'too-many',
      `More than ${perMinute} photos a minute. Try again in ${retrySeconds} s.`,
      {
        headers: { 'Retry-After': String(retrySeconds) },
      },
    )
  }
}
