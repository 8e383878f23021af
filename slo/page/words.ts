import { fillIn, language, speaker } from '@tintype/lib/page/browser/language.ts'
import type { State } from './api.ts'
import { clock } from './format.ts'
import remarks from './remarks.json' with { type: 'json' }
import texts from './words.json' with { type: 'json' }

export const say = speaker(texts)

let ofTheDirectory: Readonly<Record<string, string>> = {}

/** Sets the texts that the watched service's directory has in this language. */
export function learn(state: State): void {
  ofTheDirectory = state.words[language] ?? {}
}

/** A text of the directory (a unit, a stage, an objective's name) in this language, where the directory has one. */
export const translated = (text: string, otherwise = text): string => ofTheDirectory[text] ?? otherwise

/** A remark about a verdict in this language; as it is where remarks.json has no such form. */
export function translatedRemark(text: string): string {
  const forms = language === 'en' ? [] : Object.values(remarks)
  for (const { en, [language]: form } of forms) {
    const pattern = en.replaceAll(/[().]/g, '\\$&').replaceAll(/\{(\w+)\}/g, '(?<$1>.+?)')
    const found = new RegExp(`^${pattern}$`).exec(text)
    const shown = ([name, value]: [string, string]) => [
      name,
      name === 'time' ? clock(value) : translated(value),
    ]
    if (found) return fillIn(form, Object.fromEntries(Object.entries(found.groups ?? {}).map(shown)))
  }
  return text
}

/** What the directory calls its objectives. */
export const objectivesName = (): string => translated('Objectives', say('objectives'))
