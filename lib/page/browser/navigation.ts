import { find, h } from './dom.ts'
import { isLoopback } from './is-loopback.ts'
import { inLanguage, language, speaker, translate } from './language.ts'
import { getJson } from './server.ts'
import texts from './words.json' with { type: 'json' }

const pages = ['upload', 'status', 'objectives', 'logs'] as const
type PageName = (typeof pages)[number]
type PerPage = Partial<Record<PageName, string>>

const say = speaker(texts)

/** Starts a page: fills in its texts, the links to the other pages, and one to this page in the other language. */
export function startPage(current: PageName, ofThePage: Parameters<typeof translate>[0]): void {
  translate(ofThePage)
  const [lang, name] = language === 'ko' ? ['en', 'English'] : ['ko', '한국어']
  // The page's address changes while it is used.
  const click = () => Object.assign(link, { href: inLanguage(location.href, lang) })
  const link = h('a', { lang, hreflang: lang, href: inLanguage(location.href, lang), click }, name)
  find('.foot').append(link)
  void showNavigation(current)
}

/** What to do after an error of `getJson` because a proxy asks to sign in, by 401 or another page; undefined after others. */
export const signInText = ({ status }: { status?: number }): string | undefined =>
  status === 0 || status === 401 ? say('signIn') : undefined

const isReached = (host: string): boolean => isLoopback(location.hostname) || !isLoopback(host)

/**
 * The addresses of the other pages that this browser can reach. The server derives them from the request's Host. By
 * default nginx sends its upstream's address as Host, such as 127.0.0.1, which is another machine for the browser.
 */
export const pageAddresses: Promise<PerPage> = getJson<PerPage>('pages.json')
  .then(all =>
    Object.entries(all).filter(([, address]) => isReached(new URL(address, location.href).hostname)),
  )
  .then(Object.fromEntries, () => ({}))

/** Fills the masthead's `<nav>` with the reachable pages, in the same order on every page. `names` replaces their names. */
export async function showNavigation(current: PageName, names: PerPage = {}): Promise<void> {
  const nav = find('.masthead nav')
  nav.setAttribute('aria-label', say('pages'))
  for await (const addresses of [{} as PerPage, pageAddresses]) {
    const links = pages.flatMap(name => {
      const address = name === current ? location.pathname : addresses[name]
      if (address === undefined) return []
      const attributes = { href: inLanguage(address), 'aria-current': name === current && 'page' }
      return h('a', attributes, names[name] ?? say(name))
    })
    nav.replaceChildren(...links)
  }
}
