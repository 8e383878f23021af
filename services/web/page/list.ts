import { takesCookies } from '@tintype/lib/page/browser/cookies.ts'
import { find, redraw } from '@tintype/lib/page/browser/dom.ts'
import { fetchPhotos } from './api.ts'
import { attempt, keepUnsent, type Unsent, unsent } from './memory.ts'
import * as store from './photos.ts'
import { type Item, items, type Upload } from './photos.ts'
import { focusOn } from './rows.ts'
import { isTaken } from './take.ts'
import { newUpload, send } from './uploads.ts'
import { say } from './words.ts'

/** Adds chosen photos, reads photos from the server, and restores interrupted uploads after a reload. */

const maxUploadBytes = Number(document.body.dataset.maxUploadBytes)
let listed = false
let older: string | null = null

/** Sends chosen files, or shows at once why not. A file that continues an interrupted upload takes its row. */
export function add(files: readonly File[]): void {
  if (files.length === 0) return
  const remembersPhotos = takesCookies()
  for (const file of files) {
    const old = items().find(({ upload }) => upload?.state.is === 'interrupted' && isSame(upload, file))
    if (old) store.drop(old)
    const item = { upload: newUpload(file, old?.upload?.key) }
    store.put(item)
    // A smaller video would be refused, too.
    const tooLarge = isTaken(file) ? 'tooLarge' : 'noPhoto'
    const problem = !remembersPhotos
      ? say('noCookies')
      : file.size > maxUploadBytes && say(tooLarge, { bytes: file.size, most: maxUploadBytes })
    if (problem) {
      item.upload.state = { is: 'refused', problem: { type: 'here', detail: problem } }
      store.changed(item)
    } else send(item)
  }
  // At once: a photo that is ready in the meantime would not be counted.
  showChanges()
}

/** Not by their dates: phones date a photo by when it was chosen. */
const isSame = (kept: Unsent, file: File): boolean => kept.name === file.name && kept.size === file.size

/** Changes within this time are shown together: uploads report their progress, and there may be thousands of rows. */
const gatherMs = 50
let gathering = false

store.watch(() => {
  if (!gathering) setTimeout(showChanges, gatherMs)
  gathering = true
})

/** Updates the parts of the page beside the rows, and what a reload needs. */
function showChanges(): void {
  gathering = false
  store.showEarly()
  keepUnsent(sending().map(({ key, name, size }) => ({ key, name, size })))
  stayAwake(sending().some(({ file, state }) => file && state.is !== 'given-up'))
  showProgress()
  find('#empty').hidden = !listed || items().length > 0
  find('#older').hidden = older === null
}

/** The photos sent by this tab since it last had none in progress. */
let batch = new Set<Item>()

const isOver = ({ upload, photo }: Item): boolean =>
  photo ? store.finished(photo) : upload?.state.is === 'refused' || upload?.state.is === 'given-up'

/** One bar and one sentence for several photos in progress; a single photo has its ring. */
function showProgress(): void {
  const sent = new Set(items().filter(({ upload }) => upload && upload.state.is !== 'interrupted'))
  const known = [...batch].filter(item => sent.has(item))
  const fresh = [...sent].filter(item => !batch.has(item) && !isOver(item))
  const all = fresh.length > 0 && known.every(isOver) ? fresh : [...known, ...fresh]
  batch = new Set(all)
  find('#overall').hidden = all.length < 2
  const value = all.reduce((sum, item) => sum + shareOf(item), 0)
  Object.assign(find('#overall progress'), { max: all.length, value })
  const ready = all.filter(({ photo }) => photo?.state === 'ready').length
  const failed = all.filter(isOver).length - ready
  find('#overall span').textContent = all.length < 2 ? '' : say('overall', { ready, of: all.length, failed })
}

/** A sent photo counts as half done. */
function shareOf(item: Item): number {
  if (isOver(item)) return 1
  if (item.photo) return item.photo.state === 'converting' ? 0.75 : 0.5
  return item.upload.state.is === 'sending' ? item.upload.state.share / 2 : 0
}

/** Uploads that are not accepted yet and may still be. */
const sending = (): Upload[] =>
  items().flatMap(({ upload, photo }) => (upload && !photo && upload.state.is !== 'refused' ? upload : []))

let awake: Promise<WakeLockSentinel | undefined> | undefined

/** Keeps the screen on while something is sent: a phone that sleeps stops its uploads. Browsers allow it on https only. */
function stayAwake(isNeeded: boolean): void {
  if (!isNeeded) void awake?.then(lock => lock?.release())
  awake = isNeeded ? (awake ?? navigator.wakeLock?.request('screen').catch(() => undefined)) : undefined
}

// A browser ends the lock when the tab is hidden.
document.addEventListener('visibilitychange', () => {
  awake = undefined
  if (!document.hidden) showChanges()
})

// Only this tab has the bytes: the browser asks before it closes or reloads the page.
addEventListener('beforeunload', event => {
  if (sending().some(({ file }) => file)) event.preventDefault()
})

/** Reads the newest photos again, and on down to the last unfinished one: a hidden tab misses events of any of them. */
export async function refresh(): Promise<void> {
  // Read before the request: a photo that is accepted meanwhile is not in the list.
  const before = items().flatMap(({ photo }) => photo?.id ?? [])
  let newest = ''
  let next: string | null = 'photos'
  do {
    const { photos, next: further }: Awaited<ReturnType<typeof fetchPhotos>> = await fetchPhotos(next)
    const oldest = photos.at(-1)?.id ?? newest // none is left of this part when all of it was just deleted
    const listedIds = new Set(photos.map(({ id }) => id))
    // Ids sort newest first. A photo that was in this part of the list and no longer is was deleted elsewhere.
    for (const id of before)
      if (id > newest && (further === null || id <= oldest) && !listedIds.has(id)) store.deleted(id)
    for (const photo of photos) store.showPhoto(photo)
    newest = oldest
    next = further
  } while (next !== null && items().some(({ photo }) => photo && !store.finished(photo) && photo.id > newest))
  // Also when so many photos came while the tab was hidden that some between them and those shown are not in this list.
  if (!listed || !before.includes(newest)) older = next
  listed = true
  showChanges()
}

async function showOlder(): Promise<void> {
  const { photos, next } = await fetchPhotos(older ?? 'photos')
  older = next
  for (const photo of photos) store.showOlderPhoto(photo)
  showChanges()
  // The button goes with the last page: the keyboard goes on with the first photo that it brought.
  if (next === null) focusOn(store.withPhoto(photos[0]?.id ?? ''))
}

/** Tabs ask each other by null which uploads they send, and answer with their keys. */
const tabs = attempt(() => new BroadcastChannel('tintype-uploads'))
tabs?.addEventListener('message', ({ data: keys }: MessageEvent<string[] | null>) => {
  if (!keys) return tabs.postMessage(sending().flatMap(({ file, key }) => (file ? key : [])))
  for (const item of items())
    if (item.upload?.state.is === 'interrupted' && keys.includes(item.upload.key)) store.drop(item)
})

/**
 * Shows the uploads that a reload interrupted, whose bytes the page lost. A duplicated tab also shows the uploads that
 * the first tab still sends, until that tab names them.
 */
export function showInterrupted(): void {
  for (const kept of unsent()) store.put({ upload: newUpload(kept, kept.key) })
  tabs?.postMessage(null)
}

find('#older').addEventListener('click', async () => {
  const isRead = (await showOlder().catch(() => false)) !== false
  redraw(find('#older'), say(isRead ? 'older' : 'notRead'))
})
