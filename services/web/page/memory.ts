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

const read = <T>(storage: Storage, name: string, fallback: T): T => {
  try {
    return JSON.parse(storage.getItem(name) ?? '') as T
  } catch {
    return fallback
  }
}

const write = (storage: Storage, name: string, value: unknown): void => {
  try {
    storage.setItem(name, JSON.stringify(value))
  } catch {
    // Storage is full or forbidden: the page shows a photo's time instead of its name.
  }
}

type Remembered = [id: string, memory: Memory][]
const all = () => new Map(read<Remembered>(localStorage, 'photos', []))

export const recall = (id: string): Memory => all().get(id) ?? {}

export function remember(id: string, memory: Memory): void {
  const photos = all()
  photos.set(id, { ...photos.get(id), ...memory })
  write(localStorage, 'photos', [...photos].slice(-maxRemembered))
}

export function forget(id: string): void {
  const photos = all()
  if (photos.delete(id)) write(localStorage, 'photos', [...photos])
}

/** An unfinished upload, without its bytes: after a reload of this tab its file must be chosen again. */
export type Unsent = { key: string; name: string; size: number; lastModified: number }

export const unsent = (): Unsent[] => read<Unsent[]>(sessionStorage, 'unsent', [])
export const keepUnsent = (uploads: Unsent[]): void => write(sessionStorage, 'unsent', uploads)
