/**
 * Bounds how many actions run at once; further ones wait in order. `onWait` is called before an action waits, with the
 * number of actions already waiting; an error that it throws is passed to the caller.
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
      // An action that ends passes its turn to the next.
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
