import { type LimitName, limits } from '@tintype/lib/limits.ts'

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
