import { find, h } from '@tintype/lib/page/browser/dom.ts'
import { announce } from './announce.ts'
import { say } from './words.ts'

/** Takes photos from the chooser, a camera, a drop anywhere on the page (folders too) and the clipboard. */
export function takeFiles(add: (files: File[]) => void): void {
  for (const chooser of [find<HTMLInputElement>('#choose'), find<HTMLInputElement>('#camera')]) {
    const take = () => {
      add([...(chooser.files ?? [])])
      // Cleared, so that choosing the same file again fires a change.
      chooser.value = ''
    }
    chooser.addEventListener('change', take)
    // On a slow line a person chooses before the scripts are here.
    take()
  }
  // Without a file, as where a link is pasted, nothing would show that the paste was noticed.
  addEventListener('paste', ({ clipboardData: given }) => given?.items.length && takeFrom(given, add))
  takeDrops(add)
}

function takeDrops(add: (files: File[]) => void): void {
  const place = find('#drop')
  // A picture of this page may be dragged out of it; dropped here, it would be sent as a new file. A browser sends no
  // dragend when what was dragged is no longer in the page.
  let dragged: EventTarget | null = null
  addEventListener('dragstart', ({ target }) => {
    dragged = target
  })
  addEventListener('dragend', () => {
    dragged = null
  })
  const isFromHere = () => dragged instanceof Node && dragged.isConnected
  const carriesFiles = ({ dataTransfer }: DragEvent) => dataTransfer?.types.includes('Files') && !isFromHere()
  addEventListener('dragover', event => {
    // Also of a link or a text: the browser would leave the page for a link that is dropped, and uploads would end.
    event.preventDefault()
    if (carriesFiles(event)) place.dataset.over = ''
  })
  addEventListener('dragleave', event => {
    if (event.relatedTarget === null) delete place.dataset.over
  })
  addEventListener('drop', event => {
    event.preventDefault()
    delete place.dataset.over
    if (!isFromHere()) takeFrom(event.dataTransfer, add)
  })
}

/** Takes what was dropped or pasted. */
function takeFrom(transfer: DataTransfer | null, add: (files: File[]) => void): void {
  // Read before the first await: after it the list of items is empty.
  const given = [...(transfer?.items ?? [])].map(item => ({
    file: item.getAsFile(),
    folder: folderOf(item.webkitGetAsEntry()),
  }))
  add(given.flatMap(({ file, folder }) => (file && !folder ? file : [])))
  const isNoFile = given.every(({ file, folder }) => !file && !folder)
  find('#taken').textContent = isNoFile ? say('noFile') : ''
  if (isNoFile) announce(say('noFile'))
  for (const { folder } of given) if (folder) void addFolder(folder, add)
}

const folderOf = (entry: FileSystemEntry | null) =>
  entry?.isDirectory ? (entry as FileSystemDirectoryEntry) : undefined

/** Most photos of a folder taken at once: each is a row, and more is probably a mistake. */
const most = 500
/** Most other files that are passed over: a dropped disk would be read for minutes. */
const mostOthers = 10_000

/** Sends the photos of a folder and its subfolders. Other files, and what cannot be read, are counted. */
async function addFolder(folder: FileSystemDirectoryEntry, add: (files: File[]) => void): Promise<void> {
  const line = h('span', {}, say('reading', { name: folder.name }))
  find('#taken').append(line, ' ')
  const photos: File[] = []
  let others = 0
  let isCut = false
  for await (const file of filesIn(folder)) {
    isCut = photos.length === most || others === mostOthers
    if (isCut) break
    // Files that a system hides: .DS_Store, and ._IMG_1.jpg beside each photo that macOS copied to another file system.
    if (file?.name.startsWith('.')) continue
    if (file && isTaken(file)) photos.push(file)
    else others++
  }
  const values = { photos: photos.length, name: folder.name, others, most: isCut ? most : 0 }
  line.textContent = say('folder', values)
  announce(line.textContent)
  add(photos)
}

/** Undefined is a file or folder that cannot be read. */
async function* filesIn(folder: FileSystemDirectoryEntry): AsyncGenerator<File | undefined> {
  const reader = folder.createReader()
  // A reader returns a hundred entries at a time, and none at the end.
  for (;;) {
    const entries = await result<FileSystemEntry[]>((...callbacks) => reader.readEntries(...callbacks))
    if (!entries) yield undefined
    if (!entries?.length) return
    for (const entry of entries) {
      const inner = folderOf(entry)
      if (inner) yield* filesIn(inner)
      else yield await result<File>((...callbacks) => (entry as FileSystemFileEntry).file(...callbacks))
    }
  }
}

const result = <T>(call: (done: (value: T) => void, failed: () => void) => void): Promise<T | undefined> =>
  new Promise(resolve => call(resolve, () => resolve(undefined)))

/** By the extension, too: some systems have no media type for HEIC, and Firefox gives none to the files of a dropped folder. */
export function isTaken({ type, name }: File): boolean {
  const accepted = find<HTMLInputElement>('#choose').accept.split(',')
  return accepted.includes(type) || accepted.includes(name.toLowerCase().replace(/.*(?=\.)/, ''))
}
