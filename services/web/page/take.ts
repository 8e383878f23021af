import { find } from '@tintype/lib/page/browser/dom.ts'
import { announce } from './announce.ts'
import { say } from './words.ts'

/** Takes photos from the chooser, a camera, a drop anywhere on the page (folders too) and the clipboard. */
export function takeFiles(add: (files: File[]) => void): void {
  for (const chooser of [find<HTMLInputElement>('#choose'), find<HTMLInputElement>('#camera')])
    chooser.addEventListener('change', () => {
      add([...(chooser.files ?? [])])
      // Cleared, so that choosing the same file again fires a change.
      chooser.value = ''
    })
  addEventListener('paste', ({ clipboardData }) => add([...(clipboardData?.files ?? [])]))
  takeDrops(add)
}

function takeDrops(add: (files: File[]) => void): void {
  const place = find('#drop')
  const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false
  addEventListener('dragover', event => {
    if (!carriesFiles(event)) return
    event.preventDefault()
    place.dataset.over = ''
  })
  addEventListener('dragleave', event => {
    if (event.relatedTarget === null) delete place.dataset.over
  })
  addEventListener('drop', event => {
    if (!carriesFiles(event)) return
    event.preventDefault()
    delete place.dataset.over
    // Read before the first await: after it the list of dropped items is empty.
    const dropped = [...(event.dataTransfer?.items ?? [])].map(item => ({
      file: item.getAsFile(),
      folder: folderOf(item.webkitGetAsEntry()),
    }))
    add(dropped.flatMap(({ file, folder }) => (file && !folder ? file : [])))
    for (const { folder } of dropped) if (folder) void addFolder(folder, add)
  })
}

const folderOf = (entry: FileSystemEntry | null) =>
  entry?.isDirectory ? (entry as FileSystemDirectoryEntry) : undefined

/** Most photos taken at once: each is a row, and more is probably a mistake. */
const maxOfFolder = 500

/** The photos of a folder and its subfolders. Other files are skipped and counted. */
async function addFolder(folder: FileSystemDirectoryEntry, add: (files: File[]) => void): Promise<void> {
  const files = await filesIn(folder)
  const accepted = find<HTMLInputElement>('#choose').accept.split(',')
  const isPhoto = ({ type, name }: File) =>
    // Some systems have no media type for HEIC, so its file extensions are accepted too.
    accepted.includes(type) || accepted.includes(name.toLowerCase().replace(/.*(?=\.)/, ''))
  const photos = files.filter(isPhoto).slice(0, maxOfFolder)
  const others = files.length - photos.length
  const left = others > 0 ? say('folderOthers', { others }) : ''
  const text = `${say('folder', { name: folder.name, photos: photos.length })}${left}.`
  find('#taken').textContent = text
  announce(text)
  add(photos)
}

async function filesIn(folder: FileSystemDirectoryEntry): Promise<File[]> {
  const reader = folder.createReader()
  const files: File[] = []
  // A reader returns a hundred entries at a time, and none at the end.
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>(resolve =>
      reader.readEntries(resolve, () => resolve([])),
    )
    if (entries.length === 0 || files.length > 2 * maxOfFolder) return files
    for (const entry of entries) {
      const inner = folderOf(entry)
      if (inner) files.push(...(await filesIn(inner)))
      else {
        const file = await new Promise<File | undefined>(resolve =>
          (entry as FileSystemFileEntry).file(resolve, () => resolve(undefined)),
        )
        if (file) files.push(file)
      }
    }
  }
}
