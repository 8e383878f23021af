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
  attributes: Attributes = {},
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
  for (const child of (children as unknown[]).flat(Number.POSITIVE_INFINITY) as (Node | string | false)[])
    if (child) element.append(child)
  return element
}

/** The element with this selector. @throws when the page has none. */
export function find<E extends HTMLElement = HTMLElement>(selector: string): E {
  const element = document.querySelector<E>(selector)
  if (!element) throw new Error(`the page has no ${selector}`)
  return element
}

const written = new WeakMap<Element, string>()

/** Sets a text unless it was set before: selections and translations stay, and live regions are not announced again. */
export function write(element: Element, text: string): void {
  if (written.get(element) !== text) element.textContent = text
  written.set(element, text)
}

/** Replaces what an element contains, unless it is the same. A selection, what was unfolded and the focus stay. */
export function redraw(element: HTMLElement, ...content: Content[]): void {
  const fresh = fill(element.cloneNode(false) as HTMLElement, {}, content)
  if (fresh.isEqualNode(element)) return
  const folds = () => [...element.querySelectorAll('details')]
  const stops = () => [...element.querySelectorAll<HTMLElement>('a, button, summary, [tabindex]')]
  const unfolded = folds().map(({ open }) => open)
  const focused = document.activeElement as HTMLElement
  const place = stops().indexOf(focused)
  element.replaceChildren(...fresh.childNodes)
  for (const [i, fold] of folds().entries()) fold.open = unfolded[i] ?? false
  ;(stops().find(({ id }) => id !== '' && id === focused.id) ?? stops()[place])?.focus()
}
