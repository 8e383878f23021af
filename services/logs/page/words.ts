import { speak } from '@tintype/lib/page/browser/language.ts'
import texts from './words.json' with { type: 'json' }

export const words = speak<typeof texts.en>(texts)
/** The name of a photo's stage. */
export const stageName = (stage: string): string => words[stage as keyof typeof words] ?? stage
