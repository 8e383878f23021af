import { speak } from '@tintype/lib/page/browser/language.ts'
import texts from './words.json' with { type: 'json' }

export const words = speak<typeof texts.en>(texts)
/** The text for a stage or a failure's reason; an unknown name is returned unchanged. */
export const wordFor = (name: string): string => words[name as keyof typeof words] ?? name
