import { fillIn, speak } from '@tintype/lib/page/browser/language.ts'
import en from './english.json' with { type: 'json' }
import ko from './korean.json' with { type: 'json' }

/** The page's texts. Placeholders are filled in by `say`. */
export const words: typeof en = speak({ en, ko })

/** Formats that are taken. */
const types = 'JPEG HEIC PNG WebP GIF AVIF TIFF'

export const say = (key: keyof typeof en, values: Parameters<typeof fillIn>[1]): string =>
  fillIn(words[key], { types, ...values })

/**
 * The service's reason in the page's language, which is found by a problem's type or a failure's code. The service writes
 * in English: that is shown where the page has no text.
 */
export function problemText(kind: 'problem' | 'reason', code: string, detail: string): string {
  const own = (words as Record<string, string>)[`${kind} ${code.split('/').at(-1)}`]
  return own === undefined ? detail : fillIn(own, { types })
}
