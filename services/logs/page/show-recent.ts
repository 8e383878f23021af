import { h } from '@tintype/lib/page/browser/dom.ts'
import { duration, language } from '@tintype/lib/page/browser/language.ts'
import { getJson, type PhotoOfRecent, type Recent, timeOf } from './api.ts'
import { words } from './words.ts'

const refreshMs = 10_000

type Places = {
  /** Gets the state in a sentence; undefined while a search's own sentence stands there. */
  lead: HTMLElement | undefined
  into: HTMLElement
  /** What the search completes. */
  keys: HTMLElement
}

/** The newest sessions and what is unusual, read again while the tab is seen. With a search, it only completes keys. */
export function showRecent({ lead, into, keys }: Places): void {
  let shown = ''
  const read = async () => {
    if (document.hidden) return
    try {
      const recent = await getJson<Recent>('recent.json')
      // Made anew only when something is new, so that focus and selection stay.
      const now = JSON.stringify(recent)
      if (now === shown) return
      shown = now
      keys.replaceChildren(...keysOf(recent))
      if (!lead) return
      const text = sentence(recent)
      if (lead.textContent !== text) lead.textContent = text
      into.hidden = recent.fromMs === 0
      into.replaceChildren(...lists(recent))
    } catch (error) {
      if (lead) lead.textContent = words.failed((error as Error).message)
      shown = ''
    }
  }
  setInterval(read, lead ? refreshMs : 6 * refreshMs)
  document.addEventListener('visibilitychange', read)
  void read()
}

function sentence({ fromMs, photos, counts: { failed, late, troubles } }: Recent): string {
  if (fromMs === 0) return words.nothingYet
  const unusual = [
    failed > 0 && words.someFailed(failed),
    late > 0 && words.someLate(late),
    troubles > 0 && words.someTroubles(troubles),
  ].filter(each => each !== false)
  return `${words.recentPhotos(photos, clock(fromMs))} ${unusual.length > 0 ? unusual.join(' ') : words.allWell}`
}

const keysOf = ({ sessions, slowest, failed, late }: Recent): HTMLElement[] => {
  const photos = [...new Map([...failed, ...late, ...slowest].map(each => [each.photo, each])).values()]
  return [
    ...sessions.map(({ session, photos, atMs }) =>
      h('option', { value: session, label: words.sessionOption(photos, clock(atMs)) }),
    ),
    ...photos.map(({ photo, atMs }) => h('option', { value: photo, label: words.photoOption(clock(atMs)) })),
  ]
}

function lists({ sessions, failed, late, slowest, troubles }: Recent): HTMLElement[] {
  return [
    list(
      words.sessions,
      sessions.map(({ session, atMs, photos, failed, late }) => {
        const notes = [words.photos(photos), ...marks(failed, late)]
        return row(session, atMs, notes.join(', '), failed > 0 ? 'broken' : late > 0 ? 'late' : undefined)
      }),
    ),
    list(
      words.failedPhotos,
      failed.map(photo => row(photo.photo, photo.atMs, photo.reason ?? '', 'broken')),
    ),
    list(
      words.latePhotos,
      late.map(photo => row(photo.photo, photo.atMs, took(photo), 'late')),
    ),
    list(
      words.slowestPhotos,
      slowest.map(photo => row(photo.photo, photo.atMs, took(photo))),
    ),
    list(
      words.troublesOf,
      troubles.map(entry => {
        const { event, level, photo } = entry.payload
        const key = typeof photo === 'string' ? photo : entry.session
        return row(key, timeOf(entry), `${event} (${level})`, level === 'error' ? 'broken' : 'late')
      }),
    ),
  ].flat()
}

const marks = (failed: number, late: number): string[] => [
  ...(failed > 0 ? [words.countFailed(failed)] : []),
  ...(late > 0 ? [words.countLate(late)] : []),
]

const took = ({ seconds }: PhotoOfRecent): string => (seconds === undefined ? '' : duration(seconds))

function list(title: string, rows: HTMLElement[]): HTMLElement[] {
  if (rows.length === 0) return []
  return [h('section', {}, h('h2', {}, title), h('ul', {}, ...rows))]
}

/** A row leads to the story of its key; what belongs to no session or photo has none. */
const row = (key: string | null, atMs: number, text: string, state?: string): HTMLElement =>
  h(
    'li',
    {},
    h('time', { class: 'mono', datetime: new Date(atMs).toISOString() }, clock(atMs)),
    key === null ? h('span', {}) : h('a', { class: 'mono', href: `?key=${key}` }, key),
    h('span', state ? { class: 'state', 'data-state': state } : {}, text),
  )

const time = new Intl.DateTimeFormat(language, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
  timeZone: 'UTC',
})
const clock = (ms: number): string => time.format(ms)
