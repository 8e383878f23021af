import { find, h, readOften, redraw } from '@tintype/lib/page/browser/dom.ts'
import { duration } from '@tintype/lib/page/browser/language.ts'
import { startPage } from '@tintype/lib/page/browser/navigation.ts'
import type { SizingAnswer } from '../sizing.ts'
import type { Story } from '../timeline.ts'
import { type Entry, isTrouble, timelineKeyOf, timeOf } from './api.ts'
import { showRecent, showSizing } from './overview.ts'
import { anchorOf, drawStory, listEntries } from './story.ts'
import texts from './words.json' with { type: 'json' }
import { entriesOf, read, say } from './words.ts'

/** Interval of reading the sizes again: a page may stay open past midnight. */
const sizingMs = 300_000
/** Characters of a text that is no key, which is shown again. */
const maxShown = 200
const lead = find('#lead')
const input = find<HTMLInputElement>('#ask input')

startPage('logs', texts)
input.placeholder = say('placeholder')

// A search is its address: it can be kept, sent and gone back from.
// The page's security policy lets no form send itself.
find('#ask').addEventListener('submit', event => {
  event.preventDefault()
  const text = input.value.trim()
  location.href = entriesOf(timelineKeyOf(text) ?? text.slice(0, maxShown))
})
const given = (new URLSearchParams(location.search).get('key') ?? '').trim()
const key = timelineKeyOf(given)
// Also when a page comes back that the browser kept, with the next search in its field. Safari empties it after the event.
addEventListener('pageshow', () => setTimeout(() => Object.assign(input, { value: key ?? given })))
find('#recent').hidden = key !== undefined
if (key) void search(key)
else if (given) lead.textContent = say('noKey', { key: given })
else input.focus()
showRecent(given ? undefined : lead)
void readOften(sizingMs, () =>
  read<SizingAnswer>('sizing.json').then(showSizing, ({ message }) => redraw(find('#forecast'), message)),
)

async function search(key: string): Promise<void> {
  // Read out. The counts that it shows without a search change each few seconds.
  lead.setAttribute('role', 'status')
  lead.textContent = say('searching')
  document.title = `${key} · Tintype`
  try {
    show(await read<Story>(`timeline.json?key=${encodeURIComponent(key)}`))
  } catch (error) {
    lead.textContent = (error as Error).message
    find('#recent').hidden = false
  }
}

function show(story: Story): void {
  lead.textContent = sentence(story)
  find('#recent').hidden = story.entries.length > 0
  if (story.entries.length === 0) return
  find('#drawing').replaceChildren(drawStory(story, open))
  for (const part of ['#chart', '#tools']) find(part).hidden = false
  const lines = new Blob(story.entries.map(entry => `${JSON.stringify(entry)}\n`))
  Object.assign(find('#download'), { href: URL.createObjectURL(lines), download: `${story.key}.ndjson` })
  find('#entries').replaceChildren(...listEntries(story))
  linkPhotos(story)
}

/** More are found among the entries. */
const maxPhotosLinked = 40

/** From a session to each of its photos. */
function linkPhotos({ key, entries }: Story): void {
  const ids = entries.flatMap(({ payload: { photo } }) => (typeof photo === 'string' ? photo : []))
  const photos = [...new Set(ids)].filter(id => id !== key).slice(0, maxPhotosLinked)
  if (photos.length === 0) return
  const links = photos.map(id => h('a', { class: 'mono small', href: entriesOf(id) }, id))
  find('#tools').append(h('span', { class: 'soft' }, say('itsPhotos')), ...links)
}

function sentence({ key, entries, services, stages, cut, unreadable }: Story): string {
  const [first, last] = [entries[0], entries.at(-1)]
  const unread = unreadable.length > 0 ? ` ${say('unreadable', { files: unreadable.join(', ') })}` : ''
  if (!first || !last) return say('none', { key }) + unread
  const text = say('found', {
    entries: entries.length,
    services: services.length,
    photos: new Set(stages.map(({ photo }) => photo)).size,
    took: duration((timeOf(last) - timeOf(first)) / 1000),
    troubles: entries.filter(isTrouble).length,
  })
  return (cut ? `${text} ${say('cut')}` : text) + unread
}

function open(entry: Entry): void {
  const details = find<HTMLDetailsElement>(`[id="${anchorOf(entry)}"]`)
  details.open = true
  details.scrollIntoView({ block: 'center' })
  details.querySelector('summary')?.focus()
}
