/**
 * Bounds how many actions run at once; a further one waits, and acts in order. An action holds its turn until it has ended,
 * well or not. `onWait` is called before an action waits, with the number of those that wait already; what it throws, the
 * caller gets.
 */
export function turns(
  atOnce: number,
  onWait?: (waiting: number) => void,
): <T>(act: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0
  return async act => {
    if (running >= atOnce) {
      onWait?.(waiting.length)
      // An action that ends passes its place to the next.
      await new Promise<void>(resolve => waiting.push(resolve))
    } else running++
    try {
      return await act()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}
