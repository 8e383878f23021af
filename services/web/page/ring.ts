import { svg } from '@tintype/lib/page/browser/dom.ts'

type Ring = {
  element: SVGSVGElement
  /** `share` of the ring, 0 to 1; `kind` sets its look; `text` is shown in its middle. */
  show(kind: 'sending' | 'minute' | 'late' | 'stopped' | 'still', share: number, text: string): void
}

/** The running minute as a ring, hidden from screen readers because the text beside it says the same. */
export function ring(): Ring {
  const circle = (name: string) => svg('circle', { class: name, cx: 24, cy: 24, r: 20, pathLength: 1 })
  const filled = circle('filled')
  const middle = svg('text', { x: 24, y: 24, 'text-anchor': 'middle', 'dominant-baseline': 'central' })
  const element = svg(
    'svg',
    { class: 'ring', viewBox: '0 0 48 48', 'aria-hidden': 'true' },
    circle('track'),
    filled,
    middle,
  )
  return {
    element,
    show(kind, share, text) {
      element.dataset.kind = kind
      filled.style.strokeDashoffset = `${1 - Math.min(1, Math.max(0, share))}`
      // A dash of length 0 would still draw a dot.
      filled.style.visibility = share > 0 ? 'visible' : 'hidden'
      middle.textContent = text
    },
  }
}
