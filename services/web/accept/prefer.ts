const maxWaitSeconds = 60

const token = "[!#$%&'*+.^_`|~\\w-]+"
const value = `(?: ?= ?("(?:[^"\\\\]|\\\\.)*"|${token}|))?`
/** One preference of RFC 7240's list with its parameters, by name and value; the list may have empty elements. */
const preference = new RegExp(` ?(?:(${token})${value}(?: ?;(?: ?${token}${value})?)*)? ?(?:,|$)`, 'gy')

/**
 * Seconds of `Prefer: wait=N` (RFC 7240), at most 60; 0 without it. Only the first `wait` counts, and only when it is a
 * whole number. Everything after a syntax error is ignored.
 */
export function preferredWait(header: string | undefined): number {
  for (const [, name, given = ''] of (header ?? '').replaceAll(/\s+/g, ' ').matchAll(preference))
    if (name?.toLowerCase() === 'wait')
      return Math.min(maxWaitSeconds, Number(/^"?(\d+)"?$/.exec(given)?.[1] ?? 0))
  return 0
}
