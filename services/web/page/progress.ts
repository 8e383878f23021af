import { find } from '@tintype/lib/page/browser/dom.ts'
import { finished, type Item } from './photos.ts'
import { say } from './words.ts'

/** The photos sent by this tab since it last had none in progress. */
let batch = new Set<Item>()

const isOver = ({ upload, photo }: Item): boolean =>
  photo ? finished(photo) : upload?.state.is === 'refused' || upload?.state.is === 'given-up'

/** One bar and one sentence for several photos in progress; a single photo has its ring. */
export function showProgress(items: readonly Item[]): void {
  const sent = new Set(items.filter(({ upload }) => upload && upload.state.is !== 'interrupted'))
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
