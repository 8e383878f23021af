import { find } from '@tintype/lib/page/browser/dom.ts'
import type { Item } from './item.ts'
import { type Actions, type PhotoRow, photoRow } from './row.ts'

/** The rows on the screen: uploads of this tab on top, then photos, newest first. */
const rows = new Map<Item, PhotoRow>()
const element = find('#photos')

/** Interval of updating running minutes. */
const tickMs = 250
setInterval(() => {
  for (const row of rows.values()) row.update()
}, tickMs)

export const items = (): Item[] => [...rows.keys()]
export const withPhoto = (id: string): Item | undefined => items().find(({ photo }) => photo?.id === id)

export function insert(item: Item, actions: Actions): void {
  const row = photoRow(item, actions)
  const next = item.upload ? element.firstElementChild : placeOf(item)
  rows.set(item, row)
  row.update()
  element.insertBefore(row.element, next)
}

/** Ids sort newest first. */
function placeOf({ photo: newer }: Item): Element | null {
  const older = items()
    .filter(({ photo }) => photo && newer && photo.id > newer.id)
    .sort((one, other) => ((one.photo?.id ?? '') < (other.photo?.id ?? '') ? -1 : 1))[0]
  return (older && rows.get(older)?.element) ?? null
}

export const update = (item: Item): void => rows.get(item)?.update()

/** Removes a row. Keyboard focus moves to the next row, or to the chooser. */
export function drop(item: Item): void {
  const gone = rows.get(item)?.element
  rows.delete(item)
  if (gone?.contains(document.activeElement)) {
    const next = gone.nextElementSibling ?? gone.previousElementSibling
    ;(next?.querySelector<HTMLElement>('button, a') ?? find('#choose')).focus()
  }
  gone?.remove()
}
