/** Whether the browser takes cookies. Where a person has blocked them Chromium only refuses its storage, too. */
export function takesCookies(): boolean {
  try {
    return navigator.cookieEnabled && localStorage.length >= 0
  } catch {
    return false
  }
}

type Place = 'localStorage' | 'sessionStorage'

/** What the page kept in this browser. Undefined also where the browser refuses cookies: then any use of its storage throws. */
export function kept(name: string, place: Place = 'localStorage'): string | undefined {
  try {
    return window[place].getItem(name) ?? undefined
  } catch {
    return undefined
  }
}

/** Keeps a text in this browser. Returns false where the browser refuses it, or has no space left. */
export function keep(name: string, value: string, place: Place = 'localStorage'): boolean {
  try {
    window[place].setItem(name, value)
    return true
  } catch {
    return false
  }
}
