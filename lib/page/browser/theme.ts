import { h } from './dom.ts'
import { speak } from './language.ts'

const themes = ['system', 'light', 'dark'] as const
type Theme = (typeof themes)[number]

const words = speak({
  en: { theme: 'Colours', system: 'as the system', light: 'light', dark: 'dark' },
  ko: { theme: '색', system: '시스템 설정', light: '밝게', dark: '어둡게' },
})

/** The choice of light, dark or the system's colours, kept in this browser. */
export function themeChoice(): HTMLElement {
  apply(stored())
  const select = h('select', {
    change: () => {
      localStorage.setItem('theme', select.value)
      apply(select.value as Theme)
    },
  })
  for (const theme of themes)
    select.append(h('option', { value: theme, selected: theme === stored() }, words[theme]))
  return h('label', { class: 'theme' }, `${words.theme} `, select)
}

function stored(): Theme {
  return themes.find(theme => theme === localStorage.getItem('theme')) ?? 'system'
}

/** The stylesheet's colours are light-dark() pairs, so the colour scheme is all there is to set. */
function apply(theme: Theme): void {
  document.documentElement.style.colorScheme = theme === 'system' ? '' : theme
}
