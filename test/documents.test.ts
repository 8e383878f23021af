import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { variables } from '@tintype/lib/variables.ts'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { rules } from '../slo/alerts/rules.ts'
import { readDirectory } from '../slo/directory.ts'
import { parseObjectives } from '../slo/objectives/objectives.ts'
import { absences } from '../slo/serve/watch.ts'
import { pages, pairs, sectionsOf, targetOf } from './documents/page.ts'
import { differences } from './documents/twins.ts'
import { files, places, read, root } from './tidy/sources.ts'

const runbooks = files('docs/runbooks/*.md')

test('each page is there in English and in Korean, and links to the other below its title', () => {
  const lacking = pairs.flatMap(([english, korean]) =>
    [
      [english, korean],
      [korean, english],
    ].flatMap(([page = '', twin = '']) => {
      if (!existsSync(join(root, page))) return [`${page} is missing: the translation of ${twin}`]
      const [link] = sectionsOf(page)[1]?.links ?? []
      const leads = link && targetOf(page, link.text).file === twin && link.line === 3
      return leads ? [] : [`${page}:3: does not link to ${twin}`]
    }),
  )
  const known = pairs.flat()
  const alone = files('docs/ko/**/*.md').filter(page => !known.includes(page))
  expect([...lacking, ...alone.map(page => `${page}: its English page is missing`)]).toEqual([])
})

test.each(pairs)('%s and %s have the same headings, blocks, commands, names and links', english => {
  expect(differences(english)).toEqual([])
})

test('each link of a page leads to a file and to a heading that are there', () => {
  const broken = pages.flatMap(page =>
    sectionsOf(page).flatMap(({ links }) =>
      links.flatMap(({ line, text }) => {
        const { missing } = targetOf(page, text)
        return missing ? [`${page}:${line}: ${missing}`] : []
      }),
    ),
  )
  expect(broken).toEqual([])
})

test('each file and folder that a page names is there', () => {
  const rooms =
    /^(bench|dashboards|docs|k8s|lib|loadtest|services|slo|test|tools)\/([\w./-]*\/)?([\w.-]+\.\w+)?$/
  const missing = pages.flatMap(page =>
    sectionsOf(page).flatMap(({ codes }) =>
      codes
        .filter(({ text }) => rooms.test(text) && !text.includes('NAME') && !existsSync(join(root, text)))
        .map(({ line, text }) => `${page}:${line}: ${text}`),
    ),
  )
  expect(missing).toEqual([])
})

test('the map of the documentation names each page of its language', () => {
  for (const folder of ['docs', 'docs/ko']) {
    const map = `${folder}/README.md`
    const named = sectionsOf(map).flatMap(({ links }) => links.map(({ text }) => targetOf(map, text).file))
    const there = files(`${folder}/{*,how-to/*,runbooks/*}.md`).filter(page => page !== map)
    expect(there.filter(page => !named.includes(page))).toEqual([])
  }
})

test('pages name the one who acts: no told, nobody, whoever or by itself', () => {
  const riddles = pages
    // Texts of the code, and sentences of a person who reports.
    .filter(page => page !== 'docs/reference.md')
    .flatMap(page =>
      places(page, /\b(told|tells|nobody|somebody|anybody|whoever|by itself|by themselves)\b/gi),
    )
  expect(riddles.map(({ at, match }) => `${at}: ${match}`)).toEqual([])
})

test('pages name the buttons of the promises page as it does', () => {
  const words = JSON.parse(read('slo/page/words.json')) as Record<string, { en: string; ko: string }>
  for (const page of ['docs/slow.md', 'docs/how-to/read-a-verdict.md']) {
    expect(read(page)).toContain(`**${words.look?.en}**`)
    expect(read(page.replace('docs/', 'docs/ko/'))).toContain(`**${words.look?.ko}**`)
  }
  expect(read('docs/slow.md')).toContain(`**${words.note?.en}**`)
  expect(read('docs/ko/slow.md')).toContain(`**${words.note?.ko}**`)
})

test('each objective that a page shows passes the lint', () => {
  const shown = pages.flatMap(page =>
    sectionsOf(page).flatMap(({ blocks }) =>
      blocks.filter(({ text }) => /^ *apiVersion: openslo/.test(text)).map(block => ({ page, ...block })),
    ),
  )
  expect(shown.length).toBeGreaterThan(0)
  for (const { page, line, text } of shown)
    expect(parseObjectives(`${page}:${line}`, text).flatMap(({ findings }) => findings)).toEqual([])
})

test('there is a runbook for each alert and for each cause, and no other', () => {
  type Rules = { groups: { rules: { expr: string; annotations?: Record<string, string> }[] }[] }
  const named = ({ groups }: Rules): string[] =>
    groups.flatMap(({ rules }) =>
      rules.flatMap(({ annotations }) => basename(annotations?.runbook_url ?? '')),
    )
  const { objectives, service } = readDirectory()
  const causes = [...service.resources.map(({ cause }) => cause), service.away.cause]
  const wanted = new Set([
    ...named(rules(objectives)).filter(Boolean),
    ...named(parse(read('k8s/monitoring/away.yaml')).spec),
    ...Object.keys(absences).map(name => `${name}.md`),
    ...causes.map(cause => `cause-${cause}.md`),
    // Of an objective that names none.
    'budget-burn.md',
  ])
  expect(runbooks.map(file => basename(file))).toEqual([...wanted].toSorted())
})

test.each(runbooks)(
  '%s says what to look at first, what to do first, how to undo it and whom to inform',
  file => {
    const partsOf = (page: string) =>
      [...read(page).matchAll(/^\*\*([^*]+)\.\*\* \S/gm)].map(([, part]) => part)
    expect(partsOf(file)).toEqual(['Means', 'Look first', 'Do first', 'Undo', 'Whom to inform'])
    expect(partsOf(file.replace('docs/', 'docs/ko/'))).toEqual([
      '의미',
      '먼저 볼 것',
      '먼저 할 일',
      '되돌리기',
      '알릴 사람',
    ])
    for (const [, name = ''] of read(file).matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g))
      expect(variables).toHaveProperty(name)
  },
)
