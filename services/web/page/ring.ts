import { h } from '@tintype/lib/page/browser/dom.ts'

type Ring = {
  element: HTMLElement
  /** `share` of the ring, 0 to 1; `kind` sets its look; `text` is shown in its middle. */
  show(kind: 'sending' | 'minute' | 'late' | 'stopped' | 'still', share: number, text: string): void
}

/** The running minute as a ring, hidden from screen readers because the text beside it says the same. */
export function ring(): Ring {
  const element = h('span', { class: 'ring', 'aria-hidden': 'true' })
  return {
    element,
    show(kind, share, text) {
      element.dataset.kind = kind
      element.style.setProperty('--share', `${Math.min(1, Math.max(0, share))}`)
      element.textContent = text
    },
  }
}
