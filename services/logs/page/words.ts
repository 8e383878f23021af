import { inLanguage, speaker } from '@tintype/lib/page/browser/language.ts'
import { request } from '@tintype/lib/page/browser/server.ts'
import texts from './words.json' with { type: 'json' }

export const say = speaker(texts)
/** The text for a stage or a failure's reason; an unknown name is returned unchanged. */
export const wordFor = (name: string): string => (name in texts ? say(name as keyof typeof texts) : name)

/** The address of a key's entries. */
export const entriesOf = (key: string): string => inLanguage(`?${new URLSearchParams({ key })}`)

/** A search through large logs takes long. */
const timeoutMs = 60_000

/** JSON of the log server. @throws with a text for the page when there is no answer, or a refusal. */
export async function getJson<T>(address: string): Promise<T> {
  const response = await request(address, {}, timeoutMs).catch(() => undefined)
  if (!response) throw new Error(say('noAnswer'))
  if (response.ok) return response.json()
  const { detail } = await response.json().catch(() => ({}))
  throw new Error(say('errorOf', { why: detail ?? `HTTP ${response.status}` }))
}
