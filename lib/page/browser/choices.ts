import { h } from './dom.ts'
import { language, speak } from './language.ts'

const words = speak({
  en: { theme: 'Colours', system: 'as the system', light: 'light', dark: 'dark', language: 'Language' },
  ko: { theme: '색', system: '시스템 설정', light: '밝게', dark: '어둡게', language: '언어' },
})

const themes = ['system', 'light', 'dark'] as const
type Theme = (typeof themes)[number]

/** The choices of language and of light, dark or the system's colours, both kept in this browser. */
export function choices(): HTMLElement {
  const theme = stored()
  apply(theme)
  const themeNames = themes.map(value => ({ value, text: words[value] }))
  const languageNames = [
    { value: 'en', text: 'English' },
    { value: 'ko', text: '한국어' },
  ]
  return h(
    'div',
    { class: 'choices' },
    choice(words.language, languageNames, language, speakFromNowOn),
    choice(words.theme, themeNames, theme, value => {
      localStorage.setItem('theme', value)
      apply(value as Theme)
    }),
  )
}

type Option = { value: string; text: string }

function choice(
  label: string,
  options: readonly Option[],
  current: string,
  chosen: (value: string) => void,
): HTMLElement {
  const select = h('select', { change: () => chosen(select.value) })
  for (const { value, text } of options)
    select.append(h('option', { value, selected: value === current }, text))
  return h('label', {}, `${label} `, select)
}

/** Words are chosen when the page is loaded. An address with another language would win over the choice. */
function speakFromNowOn(value: string): void {
  localStorage.setItem('language', value)
  const address = new URL(location.href)
  address.searchParams.delete('lang')
  if (address.href === location.href) location.reload()
  else location.replace(address)
}

const stored = (): Theme => themes.find(theme => theme === localStorage.getItem('theme')) ?? 'system'

/** The stylesheet's colours are light-dark() pairs, so the colour scheme is all there is to set. */
function apply(theme: Theme): void {
  document.documentElement.style.colorScheme = theme === 'system' ? '' : theme
}
