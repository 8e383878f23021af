import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { variables } from '@tintype/lib/variables.ts'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { rules } from '../slo/alerts/rules.ts'
import { readDirectory } from '../slo/directory.ts'
import { silences } from '../slo/serve/watch.ts'

const root = join(import.meta.dirname, '..')
const folder = join(root, 'docs/runbooks')
const files = readdirSync(folder)
const { objectives, service } = readDirectory()
const read = (file: string) => readFileSync(join(folder, file), 'utf8')
/** Line breaks inside a command are the editor's. */
const commands = files.flatMap(file =>
  [
    ...read(file)
      .replace(/\s+/g, ' ')
      .matchAll(/`npm run ([^`]+)`/g),
  ].map(([, command = '']) => ({ file, command })),
)

type Rules = { groups: { rules: { expr: string; annotations?: Record<string, string> }[] }[] }
const named = ({ groups }: Rules): string[] =>
  groups.flatMap(({ rules }) => rules.flatMap(({ annotations }) => basename(annotations?.runbook_url ?? '')))

test('there is a runbook for each alert and for each cause, and no other', () => {
  const away = parse(readFileSync(join(root, 'k8s/monitoring/away.yaml'), 'utf8'))
  const causes = [...service.resources.map(({ cause }) => cause), service.away.cause]
  const wanted = new Set([
    ...named(rules(objectives)).filter(Boolean),
    ...named(away.spec),
    ...Object.keys(silences).map(name => `${name}.md`),
    ...causes.map(cause => `cause-${cause}.md`),
    // Of an objective that names none.
    'budget-burn.md',
  ])
  expect(files.toSorted()).toEqual([...wanted].toSorted())
})

test.each(files)('%s says what to look at first, what to do first, how to undo it and whom to tell', file => {
  const parts = [...read(file).matchAll(/^\*\*([A-Z][a-z ]+)\.\*\* \S/gm)].map(([, part]) => part)
  expect(parts).toEqual(['Means', 'Look first', 'Do first', 'Undo', 'Who else'])
  for (const [, name = ''] of read(file).matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g))
    expect(variables).toHaveProperty(name)
  for (const [, link = ''] of read(file).matchAll(/\]\(([\w-]+\.md)\)/g)) expect(files).toContain(link)
})

test('each command that a runbook names is there, with its verb and its options', {
  timeout: 180_000,
}, async () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  expect(commands.length).toBeGreaterThan(20)
  const helps = new Map<string, Promise<string>>()
  const help = (script: string, verb: string): Promise<string> => {
    const file = /node (\S+\.ts)$/.exec(scripts[script] ?? '')?.[1] ?? `no script ${script}`
    const key = `${file} ${verb}`
    const asked =
      helps.get(key) ??
      promisify(execFile)(process.execPath, [file, ...(verb ? [verb] : []), '--help'], { cwd: root }).then(
        ({ stdout }) => stdout,
      )
    helps.set(key, asked)
    return asked
  }
  for (const { file, command } of commands) {
    const [, script = '', rest = ''] = /^([\w:-]+)(?: -- (.*))?$/.exec(command) ?? []
    const verb = /^[a-z]+\b/.exec(rest)?.[0] ?? ''
    const said = await help(script, verb).catch(error => String(error))
    if (verb) expect(said, `${file}: npm run ${command}`).toMatch(new RegExp(`\\b${verb}\\b`))
    expect(said, `${file}: npm run ${command}`).toContain('Exit status')
    for (const [option] of rest.matchAll(/--[a-z]+/g))
      expect(said, `${file}: npm run ${command}`).toContain(option)
  }
})
