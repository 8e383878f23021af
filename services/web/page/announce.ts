import { find } from '@tintype/lib/page/browser/dom.ts'

/** Messages within this time are announced together. */
const gatherMs = 400

let waiting: string[] = []

/** Announces a message to screen readers without moving the focus. */
export function announce(text: string): void {
  if (waiting.length === 0)
    setTimeout(() => {
      find('#said').textContent = waiting.join('. ')
      waiting = []
    }, gatherMs)
  waiting.push(text)
}
