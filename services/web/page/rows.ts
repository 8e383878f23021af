import { find, h, redraw } from '@tintype/lib/page/browser/dom.ts'
import { request } from '@tintype/lib/page/browser/server.ts'
import { announce } from './announce.ts'
import { deletePhoto, isGone, type Photo, reportExperience } from './api.ts'
import { itemName, journey, lookOf } from './item.ts'
import { remember } from './memory.ts'
import { changed, deleted, drop, type Item, isShown, items, underWay, watch, withPhoto } from './photos.ts'
import { send } from './uploads.ts'
import { say } from './words.ts'

/** The rows on the screen: uploads of this tab on top, then photos, newest first. */
const rows = new Map<Item, ReturnType<typeof photoRow>>()
const list = find('#photos')

watch(item => {
  if (!isShown(item)) removeRow(item)
  else if (!rows.has(item)) insertRow(item)
  rows.get(item)?.update()
})

/** Interval of updating the rows that show a running time. */
const tickMs = 250
setInterval(() => {
  for (const [item, row] of rows)
    if (underWay(item) || (!item.photo && item.upload.state.is === 'retrying')) row.update()
}, tickMs)

function insertRow(item: Item): void {
  const row = photoRow(item)
  const next = item.photo && !item.upload ? placeOf(item.photo) : list.firstElementChild
  rows.set(item, row)
  list.insertBefore(row.element, next)
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
function removeRow(item: Item): void {
  const gone = rows.get(item)?.element
  rows.delete(item)
  if (gone?.contains(document.activeElement)) focusIn(gone.nextElementSibling ?? gone.previousElementSibling)
  gone?.remove()
}

/** The row of one item. `update` draws the item's present state. It is called often and must stay cheap. */
function photoRow(item: Item): { element: HTMLElement; update(): void } {
  // Hidden from screen readers because the text beside it says the same.
  const ring = h('span', { class: 'ring', 'aria-hidden': 'true' })
  const picture = h('div', { class: 'picture' }, ring)
  // A name may be in a script that runs from right to left; the row does not turn with it.
  const name = h('bdi')
  const text = h('p', { class: 'text' })
  const buttons = h('div', { class: 'actions' })
  const panel = h('div', { class: 'journey', hidden: true })
  const what = h('div', { class: 'what' }, h('h3', { class: 'title' }, name), text)
  const element = h('li', { class: 'photo' }, picture, what, buttons, panel)
  let shown = ''

  return {
    element,
    update() {
      const look = lookOf(item)
      const kind = item.photo?.state ?? item.upload?.state.is ?? ''
      element.dataset.state = look.state
      text.classList.toggle('state', look.state === 'late')
      text.dataset.state = look.state
      redraw(text, look.text)
      redraw(name, itemName(item))
      ring.dataset.kind = item.photo ? look.state : 'sending'
      ring.style.setProperty('--share', `${Math.min(1, Math.max(0, look.share ?? 0))}`)
      ring.textContent = look.mark ?? ''
      if (kind === shown) return
      redraw(buttons, controls(item))
      if (kind === 'ready') void showPicture(item, picture, panel)
      if (shown && ['ready', 'failed', 'refused'].includes(kind)) announce(`${itemName(item)}: ${look.text}`)
      shown = kind
    },
  }
}

/**
 * A button of a row. It acts once for a double click, and for Enter that is held down: further clicks would be on what has
 * moved there or got the focus, as the next row's button.
 */
function rowButton(act: () => unknown, blur?: () => void): HTMLElement {
  const click = ({ detail }: MouseEvent) => detail > 1 || act()
  const keydown = (event: KeyboardEvent) => event.repeat && event.key === 'Enter' && event.preventDefault()
  return h('button', { class: 'quiet', type: 'button', click, keydown, blur })
}

function label(button: HTMLElement, action: string, name: string): HTMLElement {
  button.textContent = action
  button.setAttribute('aria-label', say('label', { action, name }))
  return button
}

function controls(item: Item): HTMLElement[] {
  const name = itemName(item)
  const button = (action: string, act: () => void) => label(rowButton(act), action, name)
  const { upload, photo } = item
  if (photo) {
    const deletion = deleteButton(photo, name)
    return photo.state === 'ready' ? [download(photo, name), deletion] : [deletion]
  }
  const remove = (action = say('remove')) =>
    button(action, () => {
      upload.cancel.abort()
      drop(item)
    })
  const again = () => button(say('again'), () => send(item))
  switch (upload.state.is) {
    case 'given-up':
      return [again(), remove()]
    case 'interrupted':
      return [button(say('chooseAgain'), () => find('#choose').click()), remove()]
    case 'refused':
      // A proxy's refusal may pass, as that of a firewall does once the person has shown to be no robot.
      return upload.state.problem.type === 'proxy' ? [again(), remove()] : [remove()]
    default:
      return [remove(say('cancel'))]
  }
}

function download({ id }: Photo, name: string): HTMLElement {
  const attributes = {
    class: 'button',
    href: `photos/${id}/thumbnail`,
    // Without another dot, after which a browser would see an extension and not add that of the thumbnail's type.
    download: `${name.replace(/\.[a-z]\w*$/i, '').replaceAll('.', '-')}-thumbnail`,
    'aria-label': say('label', { action: say('download'), name }),
  }
  return h('a', attributes, say('download'))
}

/** Asks for confirmation before it deletes. Losing focus cancels the question. */
function deleteButton({ id }: Photo, name: string): HTMLElement {
  // Kept apart from the button's text, which a browser may have translated.
  let shown: 'delete' | 'reallyDelete' | 'notDeleted'
  const ask = (action: typeof shown) => {
    shown = action
    label(element, say(action), name)
  }
  const act = async () => {
    // Safari does not focus a button that is clicked, and what has no focus cannot lose it.
    element.focus()
    if (shown === 'delete') return ask('reallyDelete')
    try {
      await deletePhoto(id)
      deleted(id)
      announce(say('deleted', { name }))
    } catch {
      ask('notDeleted')
      announce(say('notDeleted'))
    }
  }
  const element = rowButton(act, () => ask('delete'))
  ask('delete')
  return element
}

/** Times are not measured while the tab is hidden, when the person does not wait for the picture. */
let lastHiddenAt = document.hidden ? performance.now() : -Infinity
document.addEventListener('visibilitychange', () => {
  lastHiddenAt = performance.now()
})

/** The picture in place of the ring, as a button that opens the photo's times. */
async function showPicture(item: Item, place: HTMLElement, panel: HTMLElement): Promise<void> {
  const { upload, photo } = item
  if (!photo) return
  const readyAt = performance.now()
  const image = await load(`photos/${photo.id}/thumbnail`, place)
  if (image === 'none') {
    item.hasNoPicture = true
    changed(item)
    announce(`${itemName(item)}: ${say('noPicture')}`)
  }
  if (typeof image === 'string') return
  if (upload && lastHiddenAt <= upload.chosenAt) {
    const experience = (performance.now() - upload.chosenAt) / 1000
    remember(photo.id, { deliver: (performance.now() - readyAt) / 1000, experience })
    void reportExperience(photo.id, experience)
  }
  panel.id = `journey-${photo.id}`
  const attributes = {
    class: 'open',
    type: 'button',
    'aria-expanded': 'false',
    'aria-controls': panel.id,
    'aria-label': say('openJourney', { name: itemName(item) }),
    click: () => {
      panel.hidden = !panel.hidden
      open.setAttribute('aria-expanded', `${!panel.hidden}`)
      if (!panel.hidden) panel.replaceChildren(...journey(item.photo ?? photo))
    },
  }
  const open = h('button', attributes, image)
  place.replaceChildren(open)
}

/** Pauses before a picture that did not load is asked for again. */
const firstPauseMs = 2_000
const longestPauseMs = 30_000

/** `none` when storage has lost it, or the browser does not know its format; `removed` when its row is gone. */
async function load(src: string, place: HTMLElement): Promise<HTMLImageElement | 'none' | 'removed'> {
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
    const image = h('img', { src, alt: '' })
    if (!(await image.decode().catch(() => 'failed'))) return image
    // Not from the cache, whose answer has the time and the session of an earlier day.
    const looking = request(src, { cache: 'no-store' }).then(isUnusable)
    const isLost = await looking.catch(() => false)
    if (!place.isConnected) return 'removed'
    if (isLost) return 'none'
    await new Promise(resolve => setTimeout(resolve, pauseMs))
  }
}

/** Whether web has lost the picture or the browser cannot decode it. A network that asks for a login sends no picture. */
const isUnusable = async (answer: Response): Promise<boolean> =>
  answer.headers.get('content-type')?.startsWith('image/')
    ? !(await createImageBitmap(await answer.blob()).catch(() => undefined))
    : isGone(answer)
