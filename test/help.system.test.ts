import { describe, expect, test } from 'vitest'
import { version } from '../lib/version.ts'
import { at, commands, fileOf, helpOf, lackingIn, scripts } from './documents/commands.ts'
import { runScript, temporaryFolder } from './support.ts'

/** Other programs, and the tests themselves. */
const foreign = /^(test|lint|check|format)\b/
const verbs: Record<string, string[]> = {
  slo: ['backtest', 'budget', 'diagnose', 'lint', 'report', 'rules', 'serve'],
}
const names = Object.keys(scripts).filter(name => !foreign.test(name) || name === 'k8s:check')

/** All are asked for --help; without TEST_FULL only the most used ones the rest, which is one function for all. */
const asked = process.env.TEST_FULL ? names : ['start', 'slo', 'logs', 'queue', 'release', 'load']

const run = async (name: string, ...args: string[]) =>
  runScript(fileOf(name), args, { DATA_DIR: await temporaryFolder() })

describe.each(names)('npm run %s', name => {
  test('--help says how to call it, with an example and the exit status', async () => {
    for (const verb of [[], ...(verbs[name] ?? []).map(each => [each])]) {
      const { code, out, err } = await helpOf(name, ...verb)
      expect({ verb, code, err }).toEqual({ verb, code: 0, err: '' })
      const command = name === 'start' ? 'npm start' : `npm run (-s )?${name}`
      expect(out).toMatch(new RegExp(`^Example: .*${command}`, 'm'))
      expect(out).toMatch(/^Exit status: 0 /m)
    }
  })
})

test('each command of a page names a script, a verb, options and files that are there', async () => {
  expect(commands.length).toBeGreaterThan(100)
  const lacking: string[] = []
  for (const command of commands)
    for (const what of await lackingIn(command)) lacking.push(`${at(command)}: ${what}`)
  expect(lacking).toEqual([])
})

describe.each(asked)('npm run %s', name => {
  test('--version says which one it is', async () => {
    expect(await run(name, '--version')).toEqual({ code: 0, out: `${version}\n`, err: '' })
  })

  test('an option that it does not have is named, with a hint at --help and without a stack', async () => {
    for (const verb of verbs[name] ?? [undefined]) {
      const { code, out, err } = await run(name, ...(verb ? [verb] : []), '--frobnicate')
      expect({ verb, code, out }).toEqual({ verb, code: 2, out: '' })
      expect(err).toContain('--frobnicate')
      expect(err).toContain('--help')
      expect(err).not.toMatch(/^\s+at /m)
    }
  })
})
