import { fillIn, language, numberFormat, speaker } from '@tintype/lib/page/browser/language.ts'
import type { State } from './api.ts'
import remarks from './remarks.json' with { type: 'json' }
import texts from './words.json' with { type: 'json' }

export const say = speaker(texts)

let ofTheDirectory: Readonly<Record<string, string>> = {}

/** Sets the texts that the watched service's directory has in this language, beside the unit of one that names none. */
export function learn(state: State): void {
  ofTheDirectory = { events: say('events'), ...state.words[language] }
}

/** A text of the directory (a unit, a stage, an objective's name) in this language, where the directory has one. */
export const translated = (text: string, otherwise = text): string =>
  ofTheDirectory[text] ?? fitting(text, Object.entries(ofTheDirectory)) ?? otherwise

/** The form of a text in which `{name}` stands for a part of it, with this part; undefined when none fits. */
function fitting(text: string, forms: readonly (readonly [written: string, form: string])[]) {
  for (const [written, form] of forms) {
    if (!written.includes('{')) continue
    const pattern = written.replaceAll(/[.*+?^$()|[\]\\{}]/g, '\\$&').replaceAll(/\\\{\w+\\\}/g, '(.+?)')
    const [, ...found] = new RegExp(`^${pattern}$`).exec(text) ?? []
    if (found.length === 0 || found[0] === text) continue
    const names = [...written.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
    const read = (value: string, name = '') => (name === 'time' ? clock(value) : translated(value))
    return fillIn(form, Object.fromEntries(found.map((value, i) => [names[i], read(value, names[i])])))
  }
  return undefined
}

/** A remark about a verdict in this language, with its time as a clock; as it is where remarks.json has no such form. */
export const translatedRemark = (text: string): string =>
  remarkForms.find(([written]) => written === text)?.[1] ?? fitting(text, remarkForms) ?? text

const remarkForms = Object.values(remarks).map(({ en, [language]: form }) => [en, form] as const)

/** What the directory calls its objectives. */
export const objectivesName = (): string => translated('Objectives', say('objectives'))

/** Rounded down, with a digit more than its target has nines: what is below the target must not look like it. */
export function percent(value: number, target = 0): string {
  const digits = Math.min(8, Math.max(2, Math.ceil(-Math.log10(1 - target) - 1e-9) - 1))
  const scale = 10 ** (digits + 2)
  // 0.57 × 10,000 is 5,699.999…
  const down = Math.floor(value * scale + 1e-6) / scale
  return numberFormat({ style: 'percent', maximumFractionDigits: digits })(down)
}

export const wholePercent = numberFormat({ style: 'percent' })
export const significant = (value: number): string =>
  numberFormat({ maximumSignificantDigits: 3, notation: value < 1e5 ? 'standard' : 'compact' })(value)

/** `04:12`, in UTC. */
export const clock = (time: string | number): string => new Date(time).toISOString().slice(11, 16)

/** The parts of a text that are there. */
export const joined = (separator: string, ...parts: (string | false | null | undefined | 0)[]): string =>
  parts.filter(Boolean).join(separator)

/** `2026-11-26 04:12`. */
export const shortTime = (time: string): string => time.slice(0, 16).replace('T', ' ')

/** `04:12`, with its date when it is a day or more from `near`. */
export const moment = (time: string, near: string): string =>
  Math.abs(Date.parse(time) - Date.parse(near)) < 86_400_000 ? clock(time) : shortTime(time)
