import { find, h } from './dom.ts'
import { inLanguage, speak } from './language.ts'

const pages = ['upload', 'status', 'objectives', 'logs'] as const
type PageName = (typeof pages)[number]

const words = speak({
  en: { pages: 'Pages', upload: 'Upload', status: 'Status', objectives: 'Promises', logs: 'Logs' },
  ko: { pages: '페이지', upload: '업로드', status: '상태', objectives: '약속', logs: '로그' },
})

/** The addresses of the other pages that this browser can reach. */
export const pageAddresses: Promise<Partial<Record<PageName, string>>> = fetch('pages.json')
  .then(response => (response.ok ? response.json() : {}))
  .catch(() => ({}))

/** Fills the masthead's `<nav>` with the reachable pages, in the same order on every page. `names` replaces their names. */
export async function showNavigation(
  current: PageName,
  names: Partial<Record<PageName, string>> = {},
): Promise<void> {
  const nav = find('.masthead nav')
  nav.setAttribute('aria-label', words.pages)
  const draw = (addresses: Partial<Record<PageName, string>>) => {
    const links = pages.flatMap(name => {
      const address = name === current ? location.pathname : addresses[name]
      if (address === undefined) return []
      return h(
        'a',
        { href: inLanguage(address), 'aria-current': name === current && 'page' },
        names[name] ?? words[name],
      )
    })
    nav.replaceChildren(...links)
  }
  draw({})
  draw(await pageAddresses)
}
