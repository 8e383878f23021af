import { takesCookies } from '@tintype/lib/page/browser/cookies.ts'
import { find } from '@tintype/lib/page/browser/dom.ts'
import { announce } from './announce.ts'
import { deletePhoto, fetchPhotos, type Photo, reportExperience } from './api.ts'
import { finished, type Item, itemName, lookOf, underWay } from './item.ts'
import { forget, keepUnsent, remember, type Unsent, unsent } from './memory.ts'
import { showProgress } from './progress.ts'
import type { Actions } from './row.ts'
import { drop, focusOn, insert, items, update, withPhoto } from './rows.ts'
import { newUpload, refusal, type Upload, uploader } from './uploads.ts'
import { say, words } from './words.ts'

/** The photos of the page: chosen, sent, reported by the server, deleted. */

const chooser = find<HTMLInputElement>('#choose')
const maxUploadBytes = Number(document.body.dataset.maxUploadBytes)

/** Photos reported while an upload waits for its response. One may be that upload, which must not get two rows. */
const early = new Map<string, Photo>()
/** Deleted photos, which a list that was read before their deletion must not bring back. */
const gone = new Set<string>()
let listed = false
let older: string | null = null

/** Times are not measured while the tab is hidden, when the person does not wait for the picture. */
let lastHiddenAt = document.hidden ? performance.now() : Number.NEGATIVE_INFINITY
document.addEventListener('visibilitychange', () => {
  lastHiddenAt = performance.now()
})

const send = uploader({
  changed(upload) {
    const item = items().find(each => each.upload === upload)
    if (item) update(item)
    if (upload.state.is === 'refused') announceRefusal(upload)
    changed()
  },
  accepted(upload, photo) {
    const item = items().find(each => each.upload === upload)
    // Cancelled after the server had accepted it.
    if (!item) return void deletePhoto(photo.id).catch(() => {})
    const known = withPhoto(photo.id)
    if (known && known !== item) drop(known)
    remember(photo.id, { name: upload.name, traceId: upload.traceId })
    // The row keeps `upload`: its file, which listeners of `cancel` hold, too, would keep a pasted photo in memory.
    Object.assign(upload, { file: undefined, cancel: new AbortController() })
    merge(item, known?.photo ?? early.get(photo.id) ?? photo)
    early.delete(photo.id)
    changed()
  },
})

const actions: Actions = {
  cancel(item) {
    item.upload?.cancel.abort()
    drop(item)
    changed()
  },
  retry(item) {
    if (!item.upload) return
    item.upload.state = { is: 'waiting' }
    update(item)
    send(item.upload)
  },
  chooseAgain: () => chooser.click(),
  async remove(item) {
    const name = itemName(item)
    const id = item.photo?.id ?? ''
    try {
      await deletePhoto(id)
      deleted(id)
      announce(say('deleted', { name }))
      return true
    } catch {
      announce(words.notDeleted)
      return false
    }
  },
  seen({ upload, photo }, deliver) {
    if (!upload || !photo || lastHiddenAt > upload.chosenAt) return
    const experience = (performance.now() - upload.chosenAt) / 1000
    remember(photo.id, { deliver, experience })
    void reportExperience(photo.id, experience)
  },
}

/** Sends chosen files, or shows at once why not. A file that continues an interrupted upload takes its row. */
export function add(files: readonly File[]): void {
  const remembersPhotos = takesCookies()
  for (const file of files) {
    const old = items().find(({ upload }) => upload?.state.is === 'interrupted' && isSame(upload, file))
    if (old) drop(old)
    const upload = newUpload(file, old?.upload?.key)
    if (!remembersPhotos) upload.state = refusal(words.noCookies)
    else if (file.size > maxUploadBytes)
      upload.state = refusal(say('tooLarge', { bytes: file.size, most: maxUploadBytes }))
    insert({ upload }, actions)
    if (upload.state.is === 'refused') announceRefusal(upload)
    else send(upload)
  }
  // At once: a photo that is ready in the meantime would not be counted.
  showChanges()
}

const isSame = (kept: Unsent, file: File): boolean =>
  kept.name === file.name && kept.size === file.size && kept.lastModified === file.lastModified

const announceRefusal = (upload: Upload): void => announce(`${upload.name}: ${lookOf({ upload }).text}`)

/** Shows the server's state of a photo. */
export function showPhoto(photo: Photo): void {
  if (gone.has(photo.id)) return
  const known = withPhoto(photo.id)
  if (known) merge(known, photo)
  else if (answerExpected()) early.set(photo.id, photo)
  else insert({ photo }, actions)
  changed()
}

const answerExpected = (): boolean =>
  items().some(({ upload, photo }) => !photo && upload?.state.is === 'sending' && upload.state.share === 1)

/** A late event does not reset a finished photo. */
function merge(item: Item, photo: Photo): void {
  const wasFinished = item.photo !== undefined && finished(item.photo)
  if (wasFinished && !finished(photo)) return
  item.photo = photo
  update(item)
  if (finished(photo) && !wasFinished) announce(`${itemName(item)}: ${lookOf(item).text}`)
}

export function deleted(id: string): void {
  gone.add(id)
  forget(id)
  const item = withPhoto(id)
  if (item) drop(item)
  changed()
}

/** Changes within this time are shown together: uploads report their progress, and there may be thousands of rows. */
const gatherMs = 50
let gathering = false

/** To be called after each change. */
function changed(): void {
  if (!gathering) setTimeout(showChanges, gatherMs)
  gathering = true
}

/** Updates the other parts of the page and what a reload needs. */
function showChanges(): void {
  gathering = false
  if (!answerExpected() && early.size > 0) {
    const waiting = [...early.values()]
    early.clear()
    for (const photo of waiting) showPhoto(photo)
  }
  keepUnsent(sending().map(({ key, name, size, lastModified }) => ({ key, name, size, lastModified })))
  showProgress(items())
  find('#empty').hidden = !listed || items().length > 0
  find('#older').hidden = older === null
}

/** Uploads that are not accepted yet and may still be. */
const sending = (): Upload[] =>
  items().flatMap(({ upload, photo }) => (upload && !photo && upload.state.is !== 'refused' ? upload : []))

// Only this tab has the bytes: the browser asks before it closes or reloads the page.
addEventListener('beforeunload', event => {
  if (sending().some(({ file }) => file)) event.preventDefault()
})

export const unfinished = (): boolean => items().some(underWay)

/** Whether a reading goes on to further pages. */
let goesOn = false

/** Reads the newest photos again. A missing one was deleted elsewhere. */
export async function refresh(): Promise<void> {
  // Read before the request: a photo that is accepted meanwhile is not in the list.
  const before = items().flatMap(({ photo }) => photo?.id ?? [])
  let { photos, next } = await fetchPhotos()
  // Down to the last unfinished one: a hidden tab misses events, also of photos that are further down by now.
  const isBelow = ({ photo }: Item) => photo && !finished(photo) && photo.id > (photos.at(-1)?.id ?? '')
  // By one reading at a time: of thousands of photos it takes longer than until the next reading.
  const mayGoOn = !goesOn
  goesOn = true
  try {
    while (mayGoOn && next !== null && items().some(isBelow)) {
      const page = await fetchPhotos(next)
      photos = [...photos, ...page.photos]
      next = page.next
    }
  } finally {
    if (mayGoOn) goesOn = false
  }
  const oldest = photos.at(-1)?.id ?? ''
  const listedIds = new Set(photos.map(({ id }) => id))
  for (const id of before) {
    const covered = next === null || id <= oldest
    if (covered && !listedIds.has(id)) deleted(id)
  }
  // Also when so many photos came while the tab was hidden that some between them and those shown are not in this list.
  if (!listed || !before.includes(oldest)) older = next
  listed = true
  for (const photo of photos) showPhoto(photo)
  changed()
}

async function showOlder(): Promise<void> {
  const { photos, next } = await fetchPhotos(older ?? 'photos')
  older = next
  for (const photo of photos) showPhoto(photo)
  showChanges()
  // The button goes with the last page: the keyboard goes on with the first photo that it brought.
  if (next === null) focusOn(withPhoto(photos[0]?.id ?? ''))
}

/** Tabs ask each other by null which uploads they send, and answer with their keys. */
const tabs = new BroadcastChannel('tintype-uploads')
tabs.onmessage = ({ data: keys }: MessageEvent<string[] | null>) => {
  if (!keys) return tabs.postMessage(sending().flatMap(({ file, key }) => (file ? key : [])))
  for (const item of items())
    if (item.upload?.state.is === 'interrupted' && keys.includes(item.upload.key)) drop(item)
  changed()
}

/**
 * Uploads that a reload interrupted: the page lost their bytes. A duplicate of a tab has those that the first still
 * sends.
 */
export function showInterrupted(): void {
  for (const kept of unsent()) insert({ upload: newUpload(kept, kept.key) }, actions)
  tabs.postMessage(null)
}

find('#older').addEventListener('click', () => void showOlder().catch(() => {}))
