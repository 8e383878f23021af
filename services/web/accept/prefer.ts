const maxWaitSeconds = 60

/**
 * Seconds of `Prefer: wait=N` (RFC 7240), at most 60; 0 without it. Only the first `wait` of the list counts, and only
 * when it is a whole number.
 */
export function preferredWait(header = ''): number {
  const wait = header.split(',').find(each => /^\s*wait\s*([=;]|$)/i.test(each))
  return Math.min(maxWaitSeconds, Number(/^\s*wait\s*=\s*"?(\d+)"?\s*(;|$)/i.exec(wait ?? '')?.[1] ?? 0))
}
