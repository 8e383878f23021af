import { deletePhoto, type PageProblem, type Photo } from './api.ts'
import { forget, remember, type Unsent } from './memory.ts'

/** The items that the page shows. Rows, progress and storage watch them. Actions of the person change them. */

export type Upload = Unsent & {
  /** Undefined after a reload of the tab, until the file is chosen again, and once the photo was accepted. */
  file: File | undefined
  traceId: string
  /** How often it was sent since it was last answered. */
  tries: number
  /** performance.now() of the click, drop or paste. */
  chosenAt: number
  state:
    | { is: 'waiting' }
    | { is: 'sending'; share: number }
    | { is: 'retrying'; because: 'busy' | 'unavailable' | 'unreachable'; at: number }
    | { is: 'refused'; problem: PageProblem }
    | { is: 'given-up' }
    | { is: 'interrupted' }
  cancel: AbortController
}

/** An upload, its photo, or a photo from the server. */
export type Item = ({ upload: Upload; photo?: undefined } | { upload?: Upload; photo: Photo }) & {
  hasNoPicture?: true
}

export const finished = (photo: Photo): boolean => photo.state === 'ready' || photo.state === 'failed'
export const underWay = ({ photo }: Item): boolean => photo !== undefined && !finished(photo)

const all = new Set<Item>()
export const items = (): Item[] => [...all]
export const isShown = (item: Item): boolean => all.has(item)
export const withPhoto = (id: string): Item | undefined => items().find(({ photo }) => photo?.id === id)

const watchers: ((item: Item) => void)[] = []
export const watch = (watcher: (item: Item) => void): void => void watchers.push(watcher)

/** Call it after each change of an item. */
export function changed(item: Item): void {
  for (const watcher of watchers) watcher(item)
}

export function put(item: Item): void {
  all.add(item)
  changed(item)
}

export function drop(item: Item): void {
  all.delete(item)
  changed(item)
}

/** Photos reported while an upload waits for its response. One may be that upload, which must not get two rows. */
const early = new Map<string, { photo: Photo; isDue: boolean }>()
/** A browser reports progress seldom: a small photo may be sent whole while its upload seems to have just begun. */
const earlyMs = 1_000
/** Deleted photos, which a list that was read before their deletion must not bring back. */
const gone = new Set<string>()

/** What is sent of each upload in progress, 0 to 1. */
const shares = (): number[] =>
  items().flatMap(({ upload, photo }) => (!photo && upload?.state.is === 'sending' ? upload.state.share : []))

/** Shows the server's state of a photo that is no upload in progress. */
export function showOlderPhoto(photo: Photo): void {
  if (gone.has(photo.id)) return
  const known = withPhoto(photo.id)
  if (known) merge(known, photo)
  else put({ photo })
}

/** Shows the server's state of a photo. */
export function showPhoto(photo: Photo): void {
  if (withPhoto(photo.id) || shares().length === 0) showOlderPhoto(photo)
  else {
    const held = early.get(photo.id) ?? { photo, isDue: false }
    early.set(photo.id, Object.assign(held, { photo }))
    // Not by a comparison of times: Firefox rounds its clock, so that the last timer could come before its time.
    setTimeout(() => {
      held.isDue = true
      showEarly()
    }, earlyMs)
  }
}

/** Shows what was reported while a response was expected. */
export function showEarly(): void {
  const sent = shares()
  for (const [id, { photo, isDue }] of early) {
    if (sent.includes(1) || (sent.length > 0 && !isDue)) continue
    early.delete(id)
    showOlderPhoto(photo)
  }
}

/** A late event does not reset a finished photo. */
function merge(item: Item, photo: Photo): void {
  if (item.photo && finished(item.photo) && !finished(photo)) return
  item.photo = photo
  changed(item)
}

/** The server has accepted an upload. */
export function accept(item: Item & { upload: Upload }, photo: Photo): void {
  // Cancelled after the server had accepted it.
  if (!all.has(item)) return void deletePhoto(photo.id).catch(() => {})
  const known = withPhoto(photo.id)
  if (known && known !== item) drop(known)
  const { upload } = item
  remember(photo.id, { name: upload.name, traceId: upload.traceId })
  // The row keeps `upload`, and listeners of `cancel` keep its file: a pasted photo would stay in memory.
  Object.assign(upload, { file: undefined, cancel: new AbortController() })
  merge(item, known?.photo ?? early.get(photo.id)?.photo ?? photo)
  early.delete(photo.id)
}

export function deleted(id: string): void {
  gone.add(id)
  forget(id)
  const item = withPhoto(id)
  if (item) drop(item)
}
