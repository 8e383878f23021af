import { find } from '@tintype/lib/page/browser/dom.ts'
import { duration } from '@tintype/lib/page/browser/language.ts'
import { startPage } from '@tintype/lib/page/browser/navigation.ts'
import { add, showInterrupted } from './list.ts'
import { live } from './live.ts'
import { showStatus } from './status.ts'
import { takeFiles } from './take.ts'
import texts from './words.json' with { type: 'json' }
import { say } from './words.ts'

const { maxUploadBytes, promiseSeconds, keepPhotosDays } = document.body.dataset

startPage('upload', texts)
find('#drop-limits').textContent = say('limits', {
  bytes: Number(maxUploadBytes),
  time: promiseSeconds === '60' ? say('aMinute') : duration(Number(promiseSeconds)),
})
find('#keeping').textContent = say('keeping', { days: Number(keepPhotosDays) })
showInterrupted()
takeFiles(add)
live(showStatus())
