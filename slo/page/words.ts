import { fillIn, language } from '@tintype/lib/page/browser/language.ts'
import type { State } from './api.ts'
import texts from './words.json' with { type: 'json' }

type Name = keyof typeof texts

/** A text of the pages in the browser's language, with its values. */
export const word = (name: Name, values: Parameters<typeof fillIn>[1] = {}): string =>
  fillIn(texts[name][language], values)

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
export const translated = (text: string, otherwise = text): string => ofTheDirectory[text] ?? otherwise

/** What the directory calls its objectives. */
export const objectivesName = (): string => translated('Objectives', word('objectives'))
