import { find } from '@tintype/lib/page/browser/dom.ts'

/** Long enough for what happens together to be said together. */
const gatherMs = 400

let waiting: string[] = []

/** Says something to people who listen to the page, without moving their focus. */
export function say(text: string): void {
  if (waiting.length === 0)
    setTimeout(() => {
      find('#said').textContent = waiting.join('. ')
      waiting = []
    }, gatherMs)
  waiting.push(text)
}
