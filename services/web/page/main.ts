import { choices } from '@tintype/lib/page/browser/choices.ts'
import { find } from '@tintype/lib/page/browser/dom.ts'
import { duration, translate } from '@tintype/lib/page/browser/language.ts'
import { showNavigation } from '@tintype/lib/page/browser/navigation.ts'
import { add, showInterrupted } from './list.ts'
import { live } from './live.ts'
import { showStatus } from './status.ts'
import { takeFiles } from './take.ts'
import { say, words } from './words.ts'

const { maxUploadBytes, promiseSeconds, keepPhotosDays } = document.body.dataset

translate(words)
find('#drop-limits').textContent = say('limits', {
  bytes: Number(maxUploadBytes),
  time: promiseSeconds === '60' ? words.aMinute : duration(Number(promiseSeconds)),
})
find('#keeping').textContent = say('keeping', { days: Number(keepPhotosDays) })
find('#choices').append(choices())
void showNavigation('upload')
showInterrupted()
takeFiles(add)
live(showStatus())
