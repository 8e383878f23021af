/** A value that all pages of this host share, whatever their ports: a cookie, sent only once something is chosen. */
export const cookie = (name: string): string | undefined =>
  new RegExp(`(?:^|; )tintype-${name}=(\\w+)`).exec(document.cookie)?.[1]

/** Keeps a value for 400 days; undefined removes it. Returns false where the browser refuses cookies. */
export function setCookie(name: string, value: string | undefined): boolean {
  const maxAge = value === undefined ? 0 : 34_560_000
  // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API exists on https and localhost only
  document.cookie = `tintype-${name}=${value}; Path=/; Max-Age=${maxAge}; SameSite=Lax`
  return cookie(name) === value
}

/** Whether the browser takes cookies: navigator.cookieEnabled is true also where a person has blocked them. */
export const takesCookies = (): boolean => setCookie('test', 'yes') && setCookie('test', undefined)
