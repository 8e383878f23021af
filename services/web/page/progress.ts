import { find } from '@tintype/lib/page/browser/dom.ts'
import { finished, type Item } from './item.ts'
import { say } from './words.ts'

/** The photos sent by this tab since it last had none in progress. */
let batch = new Set<Item>()

const isOver = ({ upload, photo }: Item): boolean =>
  photo ? finished(photo) : upload?.state.is === 'refused' || upload?.state.is === 'given-up'

/** One bar and one sentence for several photos in progress; a single photo has its ring. */
export function showProgress(items: readonly Item[]): void {
  const sent = items.filter(({ upload }) => upload && upload.state.is !== 'interrupted')
  const here = new Set(sent)
  const known = [...batch].filter(item => here.has(item))
  const isDone = known.length > 0 && known.every(isOver)
  const fresh = sent.filter(item => !batch.has(item) && !isOver(item))
  if (isDone && fresh.length > 0) batch = new Set(fresh)
  else batch = new Set([...known, ...fresh])
  const all = [...batch]
  const count = (is: (item: Item) => boolean) => all.filter(is).length
  const ready = count(({ photo }) => photo?.state === 'ready')
  const over = count(isOver)
  const element = find('#overall')
  element.hidden = all.length < 2
  const bar = find<HTMLProgressElement>('#overall progress')
  bar.max = all.length
  bar.value = all.reduce((sum, item) => sum + shareOf(item), 0)
  const failed = over - ready
  const text =
    say('overall', { ready, of: all.length }) + (failed > 0 ? say('overallFailed', { failed }) : '')
  find('#overall span').textContent = text
}

/** A sent photo counts as half done. */
function shareOf(item: Item): number {
  if (isOver(item)) return 1
  if (item.photo) return item.photo.state === 'converting' ? 0.75 : 0.5
  return item.upload?.state.is === 'sending' ? item.upload.state.share / 2 : 0
}
