import { inLanguage, speaker } from '@tintype/lib/page/browser/language.ts'
import { signInText } from '@tintype/lib/page/browser/navigation.ts'
import { getJson } from '@tintype/lib/page/browser/server.ts'
import texts from './words.json' with { type: 'json' }

export const say = speaker(texts)
/** The text for a stage or a failure's reason; an unknown name is returned unchanged. */
export const wordFor = (name: string): string =>
  Object.hasOwn(texts, name) ? say(name as keyof typeof texts) : name

/** The address of a key's entries. */
export const entriesOf = (key: string): string => inLanguage(`?${new URLSearchParams({ key })}`)

/** A search through large logs takes long. */
const timeoutMs = 60_000

/** JSON of the log server. @throws with a text for the page when there is no answer, or a refusal. */
export const read = <T>(address: string): Promise<T> =>
  getJson<T>(address, timeoutMs).catch(error => {
    const isAway = error.status === undefined
    throw new Error(signInText(error) ?? (isAway ? say('noAnswer') : say('errorOf', { why: error.message })))
  })
