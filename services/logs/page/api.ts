export type Entry = {
  id: string
  session: string | null
  timestamp: string
  /** Tintype's own entries name event and level; another shipper's may not. */
  payload: { event?: string; level?: string; [fact: string]: unknown }
  received_at: string
  effective_at?: string
}
/** A stage of a photo's way, read from its entries; times are epoch milliseconds. */
export type StageBar = { photo: string; stage: string; fromMs: number; toMs: number }
export type RecentRow = {
  /** A session, or a photo; null when the entry belongs to neither. */
  key: string | null
  atMs: number
  state?: 'broken' | 'late' | undefined
  /** Of a session's photos. */
  counts?: { photos: number; failed: number; late: number }
  /** Why a photo failed, or what a warning or error is. */
  text?: string | undefined
  /** Upload to thumbnail. */
  seconds?: number | undefined
}
/** The lists of recent.json, in the order of the page. */
export const recentLists = ['sessions', 'failed', 'late', 'slowest', 'troubles'] as const
export type Count = { entries: number; bytes: number }
/** An estimate and the interval of nine tenths; null is "not at this rate". */
export type Estimate = { low: number | null; likely: number | null; high: number | null }

/** Epoch milliseconds of an entry's effective time, or of its timestamp when the disk damaged the effective time. */
export const timeOf = (entry: Entry): number =>
  Date.parse(entry.effective_at ?? '') || Date.parse(entry.timestamp)
export const isTrouble = ({ payload: { level } }: Entry): boolean => level === 'warn' || level === 'error'
/** What an entry is about; of another shipper's without an event only its level. */
export const nameOf = (entry: Entry): string =>
  `${factText(entry.payload.event ?? '')}${isTrouble(entry) ? ` (${entry.payload.level})` : ''}`.trim()
/** A fact for people. Another shipper's event may be any JSON. */
export const factText = (fact: unknown): string =>
  typeof fact === 'string' ? fact : (JSON.stringify(fact) ?? '')
/** Another shipper's may be a number that is no time, such as nanoseconds since 1970. */
export const isSeconds = (fact: unknown): fact is number =>
  typeof fact === 'number' && fact >= 0 && fact < 1e9
export const serviceOf = (entry: Entry): string => entry.id.split('.').slice(0, 2).join('.')

/** An entry for people: as JSON, in which the lines of a stack are lines. */
export const entryText = (entry: Entry): string =>
  JSON.stringify(entry, null, 2).replaceAll(/\\./g, escaped => (escaped === '\\n' ? '\n' : escaped))

const uuid = /\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g

/**
 * The id of a session, photo, trace or request in what a person copied, with quotes, capitals, a traceparent or the
 * address of a photo around it: the longest word with a digit, which one in 1,000 ids of photos lacks. Some tools show
 * ids of traces as UUIDs.
 */
export function timelineKeyOf(text: string): string | undefined {
  const words = text
    .toLowerCase()
    .replace(uuid, id => id.replaceAll('-', ''))
    .replace(/([0-9a-f]{32})\.[\w-]{43}/, '$1') // the value of a cookie, with its signature
    .split(/[^0-9a-z]+/)
  const ids = words.filter(word => /^(?=.*\d).{8,64}$|^[a-hjkmnp-tv-z]{25}$/.test(word))
  return ids.sort((one, other) => other.length - one.length)[0]
}

/** A size for people in powers of ten, as disks are sold. */
export function sizeText(bytes: number, language = 'en'): string {
  const power = Math.min(4, Math.max(0, Math.floor(Math.log10(Math.abs(bytes) || 1) / 3)))
  const value = (bytes / 1000 ** power).toLocaleString(language, { maximumSignificantDigits: 3 })
  return `${value} ${['B', 'kB', 'MB', 'GB', 'TB'][power]}`
}
