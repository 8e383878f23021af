/** Facts about a photo that only this browser keeps: file name and times. */
type Memory = {
  name?: string
  traceId?: string
  /** Seconds from "ready" to the picture on the screen, and from the click to it. */
  deliver?: number
  experience?: number
}

/** Photos remembered; the oldest are forgotten. */
const maxRemembered = 1_000

let text = ''
let photos = new Map<string, Memory>()

/** Undefined where the browser refuses cookies, and any use of its storage throws, or where no space is left. */
function attempt<T>(use: () => T): T | undefined {
  try {
    return use()
  } catch {
    return undefined
  }
}

/** Parsed again only when another tab has changed it: rows ask four times a second. */
function all(): Map<string, Memory> {
  const now = attempt(() => localStorage.getItem('photos')) ?? text
  if (now !== text) [text, photos] = [now, new Map(parse<[string, Memory]>(now, Array.isArray))]
  return photos
}

/** Without what another program of this origin keeps under the same name. */
function parse<T>(json: string, isOurs: (each: Partial<T> | null) => boolean): T[] {
  try {
    return JSON.parse(json).filter(isOurs)
  } catch {
    return []
  }
}

function write(): void {
  text = JSON.stringify([...photos].slice(-maxRemembered))
  attempt(() => localStorage.setItem('photos', text))
}

export const recall = (id: string): Memory => all().get(id) ?? {}

export function remember(id: string, memory: Memory): void {
  all().set(id, { ...recall(id), ...memory })
  write()
}

export function forget(id: string): void {
  if (all().delete(id)) write()
}

/** An unfinished upload, without its bytes: after a reload of this tab its file must be chosen again. */
export type Unsent = { key: string; name: string; size: number; lastModified: number }

export const unsent = (): Unsent[] =>
  parse<Unsent>(attempt(() => sessionStorage.getItem('unsent')) ?? '', each => typeof each?.name === 'string')
let keptUnsent = ''

/** Called at every progress of an upload, and written only when the uploads are others. */
export function keepUnsent(uploads: Unsent[]): void {
  const text = JSON.stringify(uploads)
  if (text !== keptUnsent) attempt(() => sessionStorage.setItem('unsent', text))
  keptUnsent = text
}
