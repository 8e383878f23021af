/** Facts about a photo that only this browser keeps: file name and times. */
type Memory = {
  name?: string | undefined
  traceId?: string | undefined
  /** Seconds from "ready" to the picture on the screen, and from the click to it. */
  deliver?: number | undefined
  experience?: number | undefined
}

/** Photos remembered; the oldest are forgotten. */
const maxRemembered = 1_000

/**
 * Undefined when the use fails: the browser refuses cookies (any use of its storage then throws, in Firefox also that of
 * BroadcastChannel), no space is left, or another program of this origin stored something else under the name.
 */
export function attempt<T>(use: () => T): T | undefined {
  try {
    return use()
  } catch {
    return undefined
  }
}

const prefix = 'photo '

export const recall = (id: string): Memory =>
  attempt(() => JSON.parse(localStorage.getItem(prefix + id) ?? '{}')) ?? {}

export const remember = (id: string, memory: Memory): void =>
  attempt(() => {
    localStorage.setItem(prefix + id, JSON.stringify({ ...recall(id), ...memory }))
    // Ids sort newest first.
    const names = Object.keys(localStorage).filter(name => name.startsWith(prefix))
    for (const name of names.sort().slice(maxRemembered)) localStorage.removeItem(name)
  })

export const forget = (id: string): void => attempt(() => localStorage.removeItem(prefix + id))

/** An unfinished upload, without its bytes: after a reload of this tab its file must be chosen again. */
export type Unsent = { key: string; name: string; size: number }

export const unsent = (): Unsent[] =>
  attempt(() =>
    (JSON.parse(sessionStorage.getItem('unsent') ?? '[]') as Unsent[]).filter(({ key }) => key),
  ) ?? []

/** Called at every progress of an upload, and written only when the uploads are others. */
export const keepUnsent = (uploads: Unsent[]): void =>
  attempt(() => {
    const text = JSON.stringify(uploads)
    if (text !== sessionStorage.getItem('unsent')) sessionStorage.setItem('unsent', text)
  })
