import { find } from '@tintype/lib/page/browser/dom.ts'
import type { Photo } from './api.ts'
import { type Item, isShown, items, underWay, watch, withPhoto } from './photos.ts'
import { photoRow } from './row.ts'

/** The rows on the screen: uploads of this tab on top, then photos, newest first. */
const rows = new Map<Item, ReturnType<typeof photoRow>>()
const element = find('#photos')

watch(item => {
  if (!isShown(item)) remove(item)
  else if (!rows.has(item)) insert(item)
  rows.get(item)?.update()
})

/** Interval of updating the rows that show a running time. */
const tickMs = 250
setInterval(() => {
  for (const [item, row] of rows)
    if (underWay(item) || (!item.photo && item.upload.state.is === 'retrying')) row.update()
}, tickMs)

function insert(item: Item): void {
  const row = photoRow(item)
  const next = item.photo && !item.upload ? placeOf(item.photo) : element.firstElementChild
  rows.set(item, row)
  element.insertBefore(row.element, next)
}

/** Ids sort newest first: the row before which a photo's row belongs is the first one with a larger id. */
function placeOf({ id }: Photo): Element | null {
  const larger = items().flatMap(({ photo }) => (photo && photo.id > id ? photo.id : []))
  const next = withPhoto(larger.sort()[0] ?? '')
  return (next && rows.get(next)?.element) ?? null
}

const focusIn = (row: Element | null | undefined) =>
  (row?.querySelector<HTMLElement>('button, a') ?? find('#choose')).focus()
export const focusOn = (item: Item | undefined): void => focusIn(item && rows.get(item)?.element)

/** Keyboard focus moves to the next row, or to the chooser. */
function remove(item: Item): void {
  const gone = rows.get(item)?.element
  rows.delete(item)
  if (gone?.contains(document.activeElement)) focusIn(gone.nextElementSibling ?? gone.previousElementSibling)
  gone?.remove()
}
