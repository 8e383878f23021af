import { dirname } from 'node:path'
import { describe, expect, test } from 'vitest'
import { files, read } from './tidy/sources.ts'

const folders = files('{lib/page/browser,services/*/page,slo/page}/words.json').map(dirname)

/** Without those that choose between words and show no value (`{n|minute|minutes}`): Korean has no plural. */
const placeholders = (text: string): string[] => [...new Set(text.match(/\{\w+\b(?!\|[^#}]*\})/g))].sort()

describe.each(folders)('the texts of %s', folder => {
  const parsed = files(`${folder}/*.json`).map(file => JSON.parse(read(file)))
  const texts = Object.assign({}, ...parsed) as Record<string, { en: string; ko: string }>

  test('show the same values in English and Korean', () => {
    // `{detail}` is what the service wrote, in English.
    for (const [name, { en, ko }] of Object.entries(texts).filter(([, { en }]) => en !== '{detail}'))
      expect([name, placeholders(ko)]).toEqual([name, placeholders(en)])
  })

  test('include each text that the HTML names', () => {
    const html = files(`${folder}/*.html`).map(read)
    const named = [...html.join().matchAll(/data-(?:text|label)="(\w+)"/g)].map(([, name = '']) => name)
    expect(named.filter(name => !(name in texts))).toEqual([])
  })
})

test('Cloudflare’s Rocket Loader leaves the scripts of the pages: their policy refuses what it would make of one', () => {
  const pages = files('{services/*,slo}/page/*.html').map(read)
  const scripts = pages.flatMap(html => html.match(/<script\b[^>]*/g) ?? [])
  expect(scripts).toHaveLength(4)
  for (const each of scripts) expect(each).toContain(' data-cfasync="false"')
})

test('each text of slo’s pages is used', () => {
  const source = files('slo/page/*.{ts,html}').map(read).join('\n')
  const names = Object.keys(JSON.parse(read('slo/page/words.json')))
  expect(names.filter(name => !new RegExp(`['"]${name}['"]`).test(source))).toEqual([])
})
