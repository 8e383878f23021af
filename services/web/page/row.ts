import { h } from '@tintype/lib/page/browser/dom.ts'
import type { Photo } from './api.ts'
import { type Item, itemName, lookOf } from './item.ts'
import { journey } from './journey.ts'
import { say, words } from './words.ts'

export type PhotoRow = {
  element: HTMLLIElement
  /** Updates the row from the item. It is cheap and called often. */
  update(): void
}

export type Actions = {
  cancel(item: Item): void
  retry(item: Item): void
  chooseAgain(): void
  remove(item: Item): Promise<void>
  /** The picture is on the screen, `seconds` after the state `ready` arrived. */
  seen(item: Item, seconds: number): void
}

/** The row of one item. */
export function photoRow(item: Item, actions: Actions): PhotoRow {
  // Hidden from screen readers because the text beside it says the same.
  const ring = h('span', { class: 'ring', 'aria-hidden': 'true' })
  const picture = h('div', { class: 'picture' }, ring)
  const name = h('h3', { class: 'title' })
  const text = h('p', { class: 'text' })
  const buttons = h('div', { class: 'actions' })
  const panel = h('div', { class: 'journey', hidden: true })
  const element = h(
    'li',
    { class: 'photo' },
    picture,
    h('div', { class: 'what' }, name, text),
    buttons,
    panel,
  )
  let shown = ''

  /** Buttons and pictures are replaced only when the kind of row changes, so that focus and hover stay. */
  function rebuild(): void {
    const hadFocus = buttons.contains(document.activeElement)
    buttons.replaceChildren(...controls(item, actions))
    if (hadFocus) buttons.querySelector<HTMLElement>('button, a')?.focus()
    if (item.photo?.state === 'ready') void showPicture(item, picture, panel, actions)
  }

  return {
    element,
    update() {
      const look = lookOf(item)
      const kind = item.photo?.state ?? item.upload?.state.is ?? ''
      element.dataset.state = look.state
      text.classList.toggle('state', look.state === 'late')
      text.dataset.state = look.state
      if (text.textContent !== look.text) text.textContent = look.text
      name.textContent = itemName(item)
      ring.dataset.kind = look.ring.kind
      ring.style.setProperty('--share', `${Math.min(1, Math.max(0, look.ring.share))}`)
      ring.textContent = look.ring.text
      if (kind !== shown) rebuild()
      shown = kind
    },
  }
}

function controls(item: Item, actions: Actions): HTMLElement[] {
  const button = (name: string, click: () => void) => {
    const label = say('label', { action: name, name: itemName(item) })
    return h('button', { class: 'quiet', type: 'button', 'aria-label': label, click }, name)
  }
  const { photo, upload } = item
  if (photo) return [...(photo.state === 'ready' ? [download(item)] : []), deleteButton(item, actions)]
  const remove = (name = words.remove) => button(name, () => actions.cancel(item))
  switch (upload?.state.is) {
    case 'given-up':
      return [button(words.again, () => actions.retry(item)), remove()]
    case 'interrupted':
      return [button(words.chooseAgain, actions.chooseAgain), remove()]
    case 'refused':
      return [remove()]
    default:
      return [remove(words.cancel)]
  }
}

function download(item: Item): HTMLElement {
  const name = itemName(item)
  const attributes = {
    class: 'button',
    href: `photos/${item.photo?.id}/thumbnail`,
    download: `${name.replace(/\.\w+$/, '')}-thumbnail`,
    'aria-label': say('label', { action: words.download, name }),
  }
  return h('a', attributes, words.download)
}

/** Asks for confirmation before it deletes. Losing focus cancels the question. */
function deleteButton(item: Item, actions: Actions): HTMLElement {
  const label = (name: string) => {
    element.textContent = name
    element.setAttribute('aria-label', say('label', { action: name, name: itemName(item) }))
  }
  let sure = false
  const element = h('button', {
    class: 'quiet',
    type: 'button',
    click: async () => {
      if (sure) return actions.remove(item)
      sure = true
      label(words.reallyDelete)
    },
    blur: () => {
      sure = false
      label(words.delete)
    },
  })
  label(words.delete)
  return element
}

/** The picture in place of the ring, as a button that opens the photo's times. */
async function showPicture(
  item: Item,
  place: HTMLElement,
  panel: HTMLElement,
  actions: Actions,
): Promise<void> {
  const { photo } = item
  if (!photo) return
  const readyAt = performance.now()
  const image = await load(`photos/${photo.id}/thumbnail`, place)
  if (!image) return
  actions.seen(item, (performance.now() - readyAt) / 1000)
  panel.id = `journey-${photo.id}`
  place.replaceChildren(journeyButton(item, photo, panel, image))
}

/** Delays of retries for a picture that did not load, for about as long as a lost connection lasts. */
const pictureTries = 60
const pictureRetryMs = 2_000

/** Undefined when it did not load, or when its row was removed. */
async function load(address: string, place: HTMLElement): Promise<HTMLImageElement | undefined> {
  for (let attempt = 1; attempt <= pictureTries; attempt++) {
    const image = h('img', { src: address, alt: '' })
    const came = await image.decode().then(
      () => true,
      () => false,
    )
    if (came) return image
    await new Promise(resolve => setTimeout(resolve, pictureRetryMs))
    if (!place.isConnected) return undefined
  }
  return undefined
}

function journeyButton(item: Item, photo: Photo, panel: HTMLElement, image: HTMLElement): HTMLElement {
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
  return open
}
