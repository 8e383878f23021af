import { find, h } from '@tintype/lib/page/browser/dom.ts'
import { duration, phrase } from '@tintype/lib/page/browser/language.ts'
import { getJson, type PhotoOfRecent, type Recent, timeOf } from './api.ts'
import { words } from './words.ts'

const refreshMs = 10_000

/**
 * The newest sessions and what is unusual, read again while the tab is seen. `lead` gets the state in a sentence; with a
 * search it is undefined, and only the search's completion is filled.
 */
export function showRecent(lead: HTMLElement | undefined): void {
  let shown = ''
  const read = async () => {
    if (document.hidden) return
    try {
      const recent = await getJson<Recent>('recent.json')
      // Made anew only when something is new, so that focus and selection stay.
      const now = JSON.stringify(recent)
      if (now === shown) return
      shown = now
      find('#keys').replaceChildren(...keysOf(recent))
      if (!lead) return
      const text = sentence(recent)
      if (lead.textContent !== text) lead.textContent = text
      find('#recent').hidden = recent.fromMs === 0
      find('#recent').replaceChildren(...lists(recent))
    } catch (error) {
      if (lead) lead.textContent = phrase(words.failed, { why: (error as Error).message })
      shown = ''
    }
  }
  setInterval(read, lead ? refreshMs : 6 * refreshMs)
  document.addEventListener('visibilitychange', read)
  void read()
}

/** The text with the number, unless it is 0. */
const some = (text: string, count: number): string[] => (count > 0 ? [phrase(text, { count })] : [])

function sentence({ fromMs, photos, counts: { failed, late, troubles } }: Recent): string {
  if (fromMs === 0) return words.nothingYet
  const unusual = [
    ...some(words.someFailed, failed),
    ...some(words.someLate, late),
    ...some(words.someTroubles, troubles),
  ]
  const photosSince = phrase(words.recentPhotos, { photos, from: clock(fromMs) })
  return [photosSince, ...(unusual.length > 0 ? unusual : [words.allWell])].join(' ')
}

function keysOf({ sessions, slowest, failed, late }: Recent): HTMLElement[] {
  const photos = new Map([...failed, ...late, ...slowest].map(({ photo, atMs }) => [photo, atMs]))
  return [
    ...sessions.map(({ session, photos, atMs }) =>
      h('option', { value: session, label: phrase(words.sessionOption, { photos, at: clock(atMs) }) }),
    ),
    ...[...photos].map(([photo, atMs]) =>
      h('option', { value: photo, label: phrase(words.photoOption, { at: clock(atMs) }) }),
    ),
  ]
}

function lists({ sessions, failed, late, slowest, troubles }: Recent): HTMLElement[] {
  const ofPhoto = (state?: string) => (photo: PhotoOfRecent) => {
    const took = photo.seconds === undefined ? '' : duration(photo.seconds)
    return row(photo.photo, photo.atMs, state === 'broken' ? (photo.reason ?? '') : took, state)
  }
  const all: [title: string, rows: HTMLElement[]][] = [
    [
      words.sessions,
      sessions.map(({ session, atMs, photos, failed, late }) => {
        const marks = [...some(words.countFailed, failed), ...some(words.countLate, late)]
        const text = [phrase(words.photos, { count: photos }), ...marks].join(', ')
        return row(session, atMs, text, failed > 0 ? 'broken' : late > 0 ? 'late' : undefined)
      }),
    ],
    [words.failedPhotos, failed.map(ofPhoto('broken'))],
    [words.latePhotos, late.map(ofPhoto('late'))],
    [words.slowestPhotos, slowest.map(ofPhoto())],
    [
      words.troublesOf,
      troubles.map(entry => {
        const { event, level, photo } = entry.payload
        const key = typeof photo === 'string' ? photo : entry.session
        return row(key, timeOf(entry), `${event} (${level})`, level === 'error' ? 'broken' : 'late')
      }),
    ],
  ]
  return all
    .filter(([, rows]) => rows.length > 0)
    .map(([title, rows]) => h('section', {}, h('h2', {}, title), h('ul', {}, ...rows)))
}

/** Links to the entries of a key; what belongs to no session or photo has none. */
const row = (key: string | null, atMs: number, text: string, state?: string): HTMLElement =>
  h(
    'li',
    {},
    h('time', { class: 'mono', datetime: new Date(atMs).toISOString() }, clock(atMs)),
    key === null ? h('span') : h('a', { class: 'mono', href: `?key=${key}` }, key),
    h('span', { class: state && 'state', 'data-state': state }, text),
  )

const clock = (ms: number): string => new Date(ms).toISOString().slice(11, 19)
