import { expect, test } from 'vitest'
import en from './english.json' with { type: 'json' }
import ko from './korean.json' with { type: 'json' }

/** The service writes problems and reasons in English, so that only other languages have texts of their own for them. */
const translated = /^(problem|reason) /
const values = (text: string) =>
  [...new Set([...text.matchAll(/\{(\w+)/g)].map(([, name]) => name))].toSorted()

test('English and Korean have the same texts, which show the same values', () => {
  const korean = Object.entries(ko).filter(([key]) => !translated.test(key))
  expect(korean.map(([key]) => key)).toEqual(Object.keys(en))
  for (const [key, text] of korean)
    expect([key, values(text)]).toEqual([key, values(en[key as keyof typeof en])])
})
