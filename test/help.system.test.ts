import { describe, expect, test } from 'vitest'
import { version } from '../lib/version.ts'
import { sloHere } from '../slo/test/here.ts'
import { at, commands, fileOf, helpOf, lackingIn, scripts } from './documents/commands.ts'
import { runScript, temporaryFolder } from './support.ts'

/** Other programs, and the tests themselves. */
const foreign = /^(test|lint|check|format)\b/
const verbs: Record<string, string[]> = {
  slo: ['backtest', 'budget', 'diagnose', 'lint', 'report', 'rules', 'serve'],
}
const names = Object.keys(scripts).filter(name => !foreign.test(name) || name === 'k8s:check')

/** All are asked for --help; without TEST_FULL only the most used ones the rest, which is one function for all. */
const asked = process.env.TEST_FULL ? names : ['start', 'slo', 'logs', 'load']

const run = async (name: string, ...args: string[]) => {
  const environment = { DATA_DIR: await temporaryFolder() }
  return name === 'slo' ? sloHere(environment, ...args) : runScript(fileOf(name), args, environment)
}

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

test.each([
  ['"extra"', 'load', 'smoke', 'http://127.0.0.1:1', 'extra'],
  ['--minutes', 'load', 'breakpoint', '--minutes', '1'],
  ['--scaling', 'load', 'smoke', '--scaling'],
  ['--remote-write "x"', 'load', 'smoke', '--remote-write', 'x'],
  ['--namespace "No_Name"', 'rules', '--namespace', 'No_Name'],
  ['--results', 'faults', '--simulated', '--results', '/dev/null/x'],
  ['--results', 'bench', 'floor', '--results', '/dev/null/x'],
  ['--photos', 'bench', 'floor', '--photos', '/nowhere'],
  ['--out', 'release:drills', 'good', '--out', '/dev/null/x'],
  ['--trials', 'kills', '--trials', '-1'],
  ['"--day"', 'logs', 'serve', '--day', '2026-11-22'],
  ['a UTC day', 'logs', 'publish', '--day', '2026-02-31'],
  ['"--session"', 'logs', 'publish', '--session', '0123456789abcdef'],
  ['timeline needs --session', 'logs', 'timeline', '--day', '2026-11-22'],
  ['--trials', 'kills', '--trials', '0'],
])('%s is refused in a sentence: npm run %s -- %s %s', async (named, name, ...args) => {
  const { code, out, err } = await run(name, ...args)
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(err).toContain(named)
  expect(err).toMatch(/^[^\n]+; --help lists what it takes\n$/)
})

test('an option that npm took because -- is missing is named: a release would not be a dry run', async () => {
  const taken = { npm_config_dry_run: 'true', npm_config_to: 'true' }
  const { code, err } = await runScript(fileOf('release'), ['canary', 'v0.2.0', '--to', 'v0.2.0'], taken)
  expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining('npm took --dry-run') })
})
