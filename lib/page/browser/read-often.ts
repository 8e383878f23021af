/**
 * Reads now, after each interval and when the tab is seen again: not while it is hidden, and one at a time. Resolves when
 * the first read has ended.
 */
export async function readOften(everyMs: number, read: () => Promise<unknown>): Promise<void> {
  let isReading = false
  const readOnce = async () => {
    if (isReading) return
    isReading = true
    await read().finally(() => {
      isReading = false
    })
  }
  const readIfSeen = () => document.hidden || readOnce()
  setInterval(readIfSeen, everyMs)
  document.addEventListener('visibilitychange', readIfSeen)
  await readOnce()
}
