import { language } from '@tintype/lib/page/browser/language.ts'
import type { State } from './api.ts'
import { count } from './format.ts'
import texts from './words.json' with { type: 'json' }

type Name = keyof typeof texts
type Forms = { one: string; other: string }

const plural = new Intl.PluralRules(language)

/**
 * A text of the pages in the browser's language. `{name}` in it is replaced by that value; numbers are rounded down and
 * written as in the language. `n` decides between a text's singular and plural.
 */
export function word(name: Name, values: Readonly<Record<string, string | number>> = {}): string {
  const text: string | Forms = texts[name][language]
  const form = typeof text === 'string' ? text : text[plural.select(Number(values.n)) as keyof Forms]
  return form.replaceAll(/\{(\w+)\}/g, (_, key: string) => {
    const value = values[key] ?? ''
    return typeof value === 'number' ? count(value) : value
  })
}

/** Every text, for the attributes `data-text` and `data-label` of the HTML. */
export const words = Object.fromEntries(
  Object.entries(texts).map(([name, text]) => [name, text[language]] as const),
)

let ofTheDirectory: Readonly<Record<string, string>> = {}

/** Sets the texts that the watched service's directory has in this language. */
export function learn(state: State): void {
  ofTheDirectory = state.words[language] ?? {}
}

/** A text of the directory (a unit, a stage, an objective's name) in this language, where the directory has one. */
export const say = (text: string, otherwise = text): string => ofTheDirectory[text] ?? otherwise

/** What the directory calls its objectives. */
export const objectivesName = (): string => say('Objectives', word('objectives'))
