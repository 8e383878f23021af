import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const folders = globSync('{lib/page/browser,services/*/page,slo/page}/words.json', { cwd: root }).map(dirname)

const placeholders = (text: string): string[] => [...new Set(text.match(/\{\w+/g))].sort()

describe.each(folders)('the texts of %s', folder => {
  const files = globSync('*.json', { cwd: join(root, folder) }).map(name =>
    JSON.parse(read(`${folder}/${name}`)),
  )
  const texts = Object.assign({}, ...files) as Record<string, { en: string; ko: string }>

  test('show the same values in English and Korean', () => {
    // `{detail}` is what the service wrote, in English.
    for (const [name, { en, ko }] of Object.entries(texts).filter(([, { en }]) => en !== '{detail}'))
      expect([name, placeholders(ko)]).toEqual([name, placeholders(en)])
  })

  test('include each one that the HTML names', () => {
    const html = globSync('*.html', { cwd: join(root, folder) }).map(name => read(`${folder}/${name}`))
    const named = [...html.join().matchAll(/data-(?:text|label)="(\w+)"/g)].map(([, name = '']) => name)
    expect(named.filter(name => !(name in texts))).toEqual([])
  })
})

test('each text of slo’s pages is used', () => {
  const source = globSync('slo/page/*.{ts,html}', { cwd: root }).map(read).join('\n')
  const names = Object.keys(JSON.parse(read('slo/page/words.json')))
  expect(names.filter(name => !new RegExp(`['"]${name}['"]`).test(source))).toEqual([])
})
