import { h } from './dom.ts'
import { keep, kept } from './kept.ts'
import { language, speak } from './language.ts'

const words = speak({
  en: { theme: 'Colours', system: 'as the system', light: 'light', dark: 'dark', language: 'Language' },
  ko: { theme: '색', system: '시스템 설정', light: '밝게', dark: '어둡게', language: '언어' },
})

/** The choices of language and of light, dark or the system's colours, both kept in this browser. */
export function choices(): HTMLElement {
  const theme = kept('theme') ?? 'system'
  apply(theme)
  const { system, light, dark } = words
  return h(
    'div',
    { class: 'choices' },
    choice(words.language, { en: 'English', ko: '한국어' }, language, speakFromNowOn),
    choice(words.theme, { system, light, dark }, theme, value => {
      keep('theme', value)
      apply(value)
    }),
  )
}

function choice(
  label: string,
  options: Record<string, string>,
  current: string,
  chosen: (value: string) => void,
): HTMLElement {
  const select = h('select', { change: () => chosen(select.value) })
  for (const [value, text] of Object.entries(options))
    select.append(h('option', { value, selected: value === current }, text))
  return h('label', {}, `${label} `, select)
}

/** Words are chosen when the page is loaded. An address with another language would win over the choice. */
function speakFromNowOn(value: string): void {
  const address = new URL(location.href)
  if (keep('language', value)) address.searchParams.delete('lang')
  else address.searchParams.set('lang', value)
  if (address.href === location.href) location.reload()
  else location.replace(address)
}

/** The stylesheet's colours are light-dark() pairs, and it sets the colour scheme by this attribute. */
function apply(theme: string): void {
  document.documentElement.dataset.theme = theme
}
