import { readStatus, type Status, serverNow } from './api.ts'
import { words } from './words.ts'

/** Older than this, what slo said is no longer known to be so. */
const staleMs = 180_000
const readEveryMs = 30_000

/** Keeps the header's words about the service: online or not, and what is left of today's allowed downtime. */
export function showStatus(element: HTMLElement): void {
  let last: Status | undefined
  const show = () => {
    if (!last) return
    const { state, text } = describe(last, serverNow())
    element.hidden = false
    element.dataset.state = state
    element.textContent = text
  }
  const read = async () => {
    last = (await readStatus()) ?? last
    show()
  }
  setInterval(read, readEveryMs)
  void read()
}

function describe(status: Status, nowMs: number): { state: string; text: string } {
  const at = new Date(status.at)
  if (nowMs - at.getTime() > staleMs) return { state: 'unknown', text: words.unknownSince(at) }
  const left = Math.max(0, Math.floor(status.budgetLeftMinutes))
  const budget = Math.round(status.budgetMinutes)
  const text = `${status.online ? words.online : words.down} · ${words.budget(left, budget)}`
  return { state: status.online ? (left > 0 ? 'good' : 'late') : 'broken', text }
}
