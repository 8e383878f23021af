import { choiceOf, choose } from './cookies.ts'
import { h } from './dom.ts'
import { language, speak } from './language.ts'
import texts from './words.json' with { type: 'json' }

const words = speak(texts)

/** The choices of language and of light, dark or the system's colours, both for all pages of this host. */
export function choices(): HTMLElement {
  // Renewed at each visit: Safari keeps a script's cookie for a week.
  for (const name of ['theme', 'language']) choose(name, choiceOf(name))
  const { system, light, dark } = words
  return h(
    'div',
    { class: 'choices' },
    choice(words.language, { en: 'English', ko: '한국어' }, language, speakFromNowOn),
    choice(words.theme, { system, light, dark }, choiceOf('theme') ?? 'system', value => {
      choose('theme', value === 'system' ? undefined : value)
      document.documentElement.dataset.theme = value
    }),
  )
}

function choice(label: string, options: Record<string, string>, now: string, use: (value: string) => void) {
  const select = h('select', { change: () => use(select.value) })
  for (const [value, text] of Object.entries(options))
    select.append(h('option', { value, selected: value === now }, text))
  return h('label', {}, `${label} `, select)
}

/** Words are chosen when the page is loaded. An address with another language would win over the choice. */
function speakFromNowOn(value: string): void {
  const address = new URL(location.href)
  if (choose('language', value)) address.searchParams.delete('lang')
  else address.searchParams.set('lang', value)
  if (address.href === location.href) location.reload()
  else location.replace(address)
}
