import { find } from '@tintype/lib/page/browser/dom.ts'
import { say } from './words.ts'

/** Messages within this time are announced together. */
const gatherMs = 400
/** Between announcements: what happens to hundreds of photos would be read out for as long as they take. */
const pauseMs = 5_000
/** More at once are announced by their number and the overall progress. */
const maxNamed = 3

let waiting: string[] = []
let announcedAt = -pauseMs

/** Announces a message to screen readers without moving the focus. */
export function announce(text: string): void {
  if (waiting.push(text) > 1) return
  const announceAll = () => {
    const summary = `${say('changes', { count: waiting.length })} ${find('#overall span').textContent}`
    find('#said').textContent = waiting.length > maxNamed ? summary : waiting.join('. ')
    waiting = []
    announcedAt = performance.now()
  }
  setTimeout(announceAll, Math.max(gatherMs, announcedAt + pauseMs - performance.now()))
}
