type Turns = {
  /** Most actions at once; a further one waits, and acts in order. */
  atOnce: number
  /** Called before an action waits, with the number of those that wait already. What it throws, the caller gets. */
  onWait?(waiting: number): void
}

/** Bounds how many actions run at once. An action holds its turn until it has ended, well or not. */
export function turns({ atOnce, onWait }: Turns): <T>(act: () => Promise<T>) => Promise<T> {
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
