/**
 * Attributes of `h`: strings are set, true is present, false and undefined absent, functions listen to the event of that
 * name. `style` has properties, because the pages' Content-Security-Policy forbids a style attribute.
 */
type Attributes = Record<
  string,
  string | number | boolean | undefined | ((event: never) => void) | Record<string, string>
>

/** What an element contains. False, null and undefined add nothing: `found && h('p', {}, found)`. */
export type Content = Node | string | false | null | undefined | Content[]

/** Makes an element: `h('button', { class: 'quiet', click: cancel }, 'Cancel')`. Text is never parsed as HTML. */
export const h = <K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: Content[]
): HTMLElementTagNameMap[K] => fill(document.createElement(name), attributes, children)

/** Like `h`, for SVG. */
export const svg = <K extends keyof SVGElementTagNameMap>(
  name: K,
  attributes: Attributes,
  ...children: Content[]
): SVGElementTagNameMap[K] =>
  fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children)

function fill<E extends Element>(element: E, attributes: Attributes, children: Content[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value as EventListener)
    else if (typeof value === 'object')
      for (const [property, text] of Object.entries(value))
        (element as unknown as HTMLElement).style.setProperty(property, text)
    else if (value !== undefined && value !== false)
      element.setAttribute(name, value === true ? '' : `${value}`)
  }
  for (const child of (children as unknown[]).flat(Infinity) as (Node | string | false)[])
    if (child) element.append(child)
  return element
}

/** The element with this selector. @throws when the page has none. */
export function find<E extends HTMLElement = HTMLElement>(selector: string): E {
  const element = document.querySelector<E>(selector)
  if (!element) throw new Error(`the page has no ${selector}`)
  return element
}

const drawn = new WeakMap<Element, Node>()

/**
 * Replaces what an element contains, unless the same was drawn before: selections and translations stay, and live regions
 * are not announced again. Otherwise what was unfolded or scrolled and the focus stay.
 */
export function redraw(element: HTMLElement, ...content: Content[]): void {
  const fresh = h('div', {}, content)
  if (drawn.get(element)?.isEqualNode(fresh)) return
  drawn.set(element, fresh.cloneNode(true))
  const changeable = () => [...element.querySelectorAll<HTMLDetailsElement>('details, .wide')]
  const stops = () => [...element.querySelectorAll<HTMLElement>('a, button, summary, [tabindex]')]
  const before = changeable().map(({ open, scrollLeft }) => ({ open, scrollLeft }))
  const focused = document.activeElement as HTMLElement
  const place = stops().indexOf(focused)
  element.replaceChildren(...fresh.childNodes)
  for (const [i, each] of changeable().entries()) Object.assign(each, before[i])
  if (place < 0) return
  const isSame = (stop?: HTMLElement) =>
    stop?.id ? stop.id === focused.id : stop?.textContent === focused.textContent
  // What has the focus may have moved: new rows come above it. The person may have scrolled away from it.
  const now = stops()
  const again = [now[place], ...now].find(isSame) ?? now[place]
  again?.focus({ preventScroll: true })
}

/** Reads now, at intervals and when the tab is seen; one at a time, not while hidden. Resolves after the first. */
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
