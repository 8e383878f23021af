import { tryAgain } from '@tintype/lib/http.ts'
import { type LimitName, limits, setBounded } from '@tintype/lib/limits.ts'
import type { Visitor } from './session.ts'

/**
 * Limits uploads by token buckets that hold a minute's uploads and refill evenly. Each upload takes a token from the
 * bucket of its session and from the larger one of its address, so that new cookies do not evade the limit. All
 * requests without a session from one address share a bucket. The returned check throws Problem 429 with Retry-After.
 */
export function uploadRate(perMinute: number) {
  const ofVisitor = openBuckets(perMinute, 'visitorRate')
  const ofAddress = openBuckets(perMinute * limits.addressRate.value, 'addressRate')
  return ({ owner, returning }: Pick<Visitor, 'owner' | 'returning'>, address: string): void => {
    ofVisitor(returning ? owner : address)
    ofAddress(address)
  }
}

type Bucket = { tokens: number; at: number }

function openBuckets(perMinute: number, limit: 'visitorRate' | 'addressRate') {
  const perMs = perMinute / 60_000
  const buckets = new Map<string, Bucket>()
  return (key: string): void => {
    const at = performance.now()
    const bucket = buckets.get(key) ?? { tokens: perMinute, at }
    const tokens = Math.min(perMinute, bucket.tokens + (at - bucket.at) * perMs)
    if (tokens >= 1) return void setBounded(buckets, key, { tokens: tokens - 1, at })
    const retrySeconds = Math.ceil((1 - tokens) / perMs / 1000)
    const whose = limit === 'addressRate' ? ' from one address' : ''
    throw tryAgain(429, 'too-many', `More than ${perMinute} photos a minute${whose}.`, retrySeconds, limit)
  }
}

/** Counts open requests in total, for each session and for each address. */
export function countAtOnce<L extends LimitName>(total: L, ofVisitor: L, ofAddress: L) {
  const open = new Map<string, number>()
  /** Counts one more request. Returns the function that ends it, or the limit that it exceeds. */
  return (owner: string, address: string): (() => void) | L => {
    const places = [
      [total, total],
      [ofVisitor, owner],
      [ofAddress, address],
    ] as const
    const add = (by: 1 | -1) => {
      for (const [, key] of places) {
        const count = (open.get(key) ?? 0) + by
        if (count === 0) open.delete(key)
        else open.set(key, count)
      }
    }
    for (const [limit, key] of places) if ((open.get(key) ?? 0) >= Number(limits[limit].value)) return limit
    add(1)
    return () => add(-1)
  }
}
