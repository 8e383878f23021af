import { speaker } from '@tintype/lib/page/browser/language.ts'
import texts from './words.json' with { type: 'json' }

const types = 'JPEG HEIC PNG WebP GIF AVIF TIFF'
const speak = speaker(texts)
export const say: typeof speak = (name, values) => speak(name, { types, ...values })

/**
 * The service's reason in the page's language, which is found by a problem's type or a failure's code. The service writes
 * in English: that is shown where the page has no text.
 */
export function problemText(kind: 'problem' | 'reason', code: string, detail: string): string {
  const name = `${kind} ${code.split('/').at(-1)}`
  return name in texts ? say(name as keyof typeof texts, { detail }) : detail
}
