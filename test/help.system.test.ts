import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { version } from '../lib/version.ts'
import { runScript, temporaryFolder } from './support.ts'

const root = join(import.meta.dirname, '..')
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>
}
/** Other programs, and the tests themselves. */
const foreign = /^(test|lint|check|format)\b/
const verbs: Record<string, string[]> = {
  slo: ['backtest', 'budget', 'diagnose', 'lint', 'report', 'rules', 'serve'],
}
const commands = Object.entries(scripts)
  .filter(([name]) => !foreign.test(name) || name === 'k8s:check')
  .map(([name, script]) => ({ name, file: /\S+\.ts/.exec(script)?.[0] ?? '' }))

/** All are asked for --help; without TEST_FULL only the most used ones the rest, which is one function for all. */
const asked = process.env.TEST_FULL
  ? commands
  : commands.filter(({ name }) => ['start', 'slo', 'logs', 'queue', 'release', 'load'].includes(name))

const run = async (file: string, ...args: string[]) =>
  runScript(file, args, { DATA_DIR: await temporaryFolder() })

describe.each(commands)('npm run $name', ({ name, file }) => {
  test('--help says how to call it, with an example and the exit status', async () => {
    for (const verb of [[], ...(verbs[name] ?? []).map(each => [each])]) {
      const { code, out, err } = await run(file, ...verb, '--help')
      expect({ verb, code, err }).toEqual({ verb, code: 0, err: '' })
      const command = name === 'start' ? 'npm start' : `npm run (-s )?${name}`
      expect(out).toMatch(new RegExp(`^Example: .*${command}`, 'm'))
      expect(out).toMatch(/^Exit status: 0 /m)
    }
  })
})

describe.each(asked)('npm run $name', ({ name, file }) => {
  test('--version says which one it is', async () => {
    expect(await run(file, '--version')).toEqual({ code: 0, out: `${version}\n`, err: '' })
  })

  test('an option that it does not have is named, with a hint at --help and without a stack', async () => {
    for (const verb of verbs[name] ?? [undefined]) {
      const { code, out, err } = await run(file, ...(verb ? [verb] : []), '--frobnicate')
      expect({ verb, code, out }).toEqual({ verb, code: 2, out: '' })
      expect(err).toContain('--frobnicate')
      expect(err).toContain('--help')
      expect(err).not.toMatch(/^\s+at /m)
    }
  })
})
