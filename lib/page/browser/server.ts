/** Clocks of browser and server count as equal unless they differ by more than a Date header's rounding. */
const toleranceMs = 2_000
let offsetMs = 0

let session: string | null = null

/**
 * Compares the browser's clock with the Date header of a response, and its session with that of the response before. When
 * it differs, `session` is dispatched: the person has cleared the cookies, or the browser takes none and each response differs.
 */
export function noteHeaders(header: (name: string) => string | null): void {
  const offset = Date.parse(header('date') ?? '') - Date.now()
  if (Number.isFinite(offset)) offsetMs = Math.abs(offset) > toleranceMs ? offset : 0
  const last = session
  session = header('tintype-session') ?? last
  if (last && last !== session) (globalThis as unknown as EventTarget).dispatchEvent(new Event('session'))
}

/** The server's time in epoch ms: the browser's own clock may be wrong by hours. */
export const serverNow = (): number => Date.now() + offsetMs

/** What is evaluated each minute counts as unknown, and an alert is sent, when the last measurement is older. */
export const staleMs = 3 * 60_000

/** The server refused the request; the message says why. */
export class Refusal extends Error {}

/**
 * Reads JSON from the page's server. @throws Refusal, or Error for another error response, both with `status`, 0 for
 * a redirection; fetch's own without one.
 */
export async function getJson<T>(address: string, timeoutMs?: number): Promise<T> {
  const response = await request(address, { cache: 'no-store', redirect: 'manual' }, timeoutMs)
  if (response.ok) return (await response.json()) as T
  const { detail } = (await response.json().catch(() => ({}))) as { detail?: string }
  const { status } = response
  throw Object.assign(detail ? new Refusal(detail) : new Error(`HTTP ${status}`), { status })
}

/** The log server imports this file, too, and is checked without the browser's types. */
declare const location: { origin: string; pathname: string }

/** A request to the page's server. @throws when it does not answer, or not in time. */
export async function request(address: string, init: RequestInit = {}, timeoutMs = 10_000) {
  // fetch refuses an address that begins as that of a page with a user and password in it: http://user:password@host/
  const url = new URL(address, location.origin + location.pathname)
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(timeoutMs) })
  noteHeaders(name => response.headers.get(name))
  return response
}
