import { find } from '@tintype/lib/page/browser/dom.ts'
import { say } from './words.ts'

/** Messages within this time are announced together. */
const gatherMs = 400
/** Between announcements: what happens to hundreds of photos would be read out for as long as they take. */
const pauseMs = 5_000
/** More at once are announced by their number. */
const maxNamed = 3

let waiting: string[] = []
let announcedAt = -pauseMs

/** Announces a message to screen readers without moving the focus. */
export function announce(text: string): void {
  if (waiting.push(text) > 1) return
  // Screen readers pass over a text that is the same as before: two pasted photos have one name.
  find('#said').textContent = ''
  const announceAll = () => {
    const named = waiting.map(text => text.replace(/\.?$/, '.')).join(' ')
    const changes = waiting.length > maxNamed ? say('changes', { count: waiting.length }) : named
    // Also behind the names: of many photos the last few often end by themselves.
    find('#said').textContent = `${changes} ${find('#overall span').textContent}`.trim()
    waiting = []
    announcedAt = performance.now()
  }
  setTimeout(announceAll, Math.max(gatherMs, announcedAt + pauseMs - performance.now()))
}
