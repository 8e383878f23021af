import { speak } from '@tintype/lib/page/browser/language.ts'
import texts from './words.json' with { type: 'json' }

export const words = speak<typeof texts.en>(texts)
/** The text for a stage or for the reason of a failure; one that the page does not know as it is. */
export const wordFor = (name: string): string => words[name as keyof typeof words] ?? name
