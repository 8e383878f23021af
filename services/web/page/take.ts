import { find } from '@tintype/lib/page/browser/dom.ts'
import { say } from './say.ts'
import { words } from './words.ts'

/** Takes photos from the chooser, from a drop anywhere on the page and from the clipboard. */
export function takeFiles(add: (files: File[]) => void): void {
  const chooser = find<HTMLInputElement>('#choose')
  chooser.addEventListener('change', () => {
    add([...(chooser.files ?? [])])
    // So that the same file can be chosen again.
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
    add(filesOf(event.dataTransfer?.items))
  })
}

/** A dropped folder looks like a file that cannot be read: it is named instead. */
function filesOf(items: DataTransferItemList | undefined): File[] {
  return [...(items ?? [])].flatMap(item => {
    const entry = item.webkitGetAsEntry()
    if (entry?.isDirectory) say(words.folder(entry.name))
    return entry?.isDirectory ? [] : (item.getAsFile() ?? [])
  })
}
