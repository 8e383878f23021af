/** Reads again after each interval and when the tab is seen again: not while it is hidden, and one at a time. */
export function readAgain(everyMs: number, read: () => Promise<unknown>): void {
  let isReading = false
  const readIfSeen = () => {
    if (document.hidden || isReading) return
    isReading = true
    void read().finally(() => {
      isReading = false
    })
  }
  setInterval(readIfSeen, everyMs)
  document.addEventListener('visibilitychange', readIfSeen)
}
