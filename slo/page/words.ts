import { language, speak } from '@tintype/lib/page/browser/language.ts'
import type { State } from './api.ts'
import { english } from './english.ts'
import { korean } from './korean.ts'

export const words = speak({ en: english, ko: korean })

let ofTheDirectory: Readonly<Record<string, string>> = {}

/** Takes over what the directory says of its own texts in this language. */
export function learn(state: State): void {
  ofTheDirectory = state.words[language] ?? {}
}

/** A text of the directory (a unit, a stage, the name of an objective) in this language, where it has one. */
export const say = (text: string): string => ofTheDirectory[text] ?? text
