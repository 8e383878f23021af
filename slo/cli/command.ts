import { relative } from 'node:path'
import { noSuch, readArguments, runCommand, UsageError } from '@tintype/lib/command-line.ts'
import { readConfig } from '@tintype/lib/config.ts'
import { pick, type VariableName } from '@tintype/lib/variables.ts'
import { defaultPages } from '../alerts/rules.ts'
import { defaultFolder, intoFile, program } from '../directory.ts'
import { outageFormat } from '../math/outage.ts'
import { contextOf, defaultDeadman, flag, type Given, type Option, options, type Verb } from './context.ts'
import verbTexts from './verbs.json' with { type: 'json' }

/** The verbs. A verb's module is loaded when the verb is run. */
const verbs: Record<string, () => Promise<{ run: Verb }>> = {
  budget: () => import('./budget.ts'),
  diagnose: () => import('./diagnose.ts'),
  init: () => import('./init.ts'),
  lint: () => import('./lint.ts'),
  backtest: () => import('./backtest.ts'),
  report: () => import('./report.ts'),
  rules: () => import('./rules.ts'),
  serve: () => import('./serve.ts'),
}

const overview = (): string => `${program} VERB [--config DIR] [options]

${Object.entries(described)
  .map(([name, { does }]) => `  ${name.padEnd(9)} ${does}\n`)
  .join('')}
${program} VERB --help shows the options of a verb.
  --config  the directory that describes the service: service.yaml and objectives/ (default: ${relative('.', defaultFolder) || '.'})
Example: ${program} report --window 24h
Exit status: 0 good, 1 an objective broken or a lint error found, 2 bad arguments or no data source.`

/** A verb in verbs.json. YAML would take 30 ms of each call. */
type Described = {
  /** Its line in the list of verbs. */
  does: string
  /** The options besides --config, declared in context.ts. */
  takes: Option[]
  /** What it takes with one of these options instead. */
  forms?: Partial<Record<Option, Option[]>>
  /** Whether it also takes arguments besides options. */
  paths?: boolean
  /** Its environment, listed after the text. */
  variables?: VariableName[]
  /** Lines. {program} is what a person types before a verb. */
  help: string[]
}
const described = verbTexts as Record<string, Described>

function describe(name: string) {
  const verb = described[name] as Described
  const values = { program, intoFile, outage: outageFormat, pages: defaultPages, deadman: defaultDeadman }
  const help = `${verb.help.join('\n')}\n`.replace(/\{(\w+)\}/g, (_, key: keyof typeof values) => values[key])
  return { ...verb, help: [help, ...variableLines(verb.variables)].join('\n') }
}

const variableLines = (names: VariableName[] = []): string[] =>
  Object.entries(pick(...names)).map(([name, { default: value, meaning }]) => {
    const shown = value !== null && typeof value === 'object' ? '' : String(value ?? '')
    return `  ${name.padEnd(19)} ${meaning}${shown && ` (${shown})`}`
  })

/** Runs the command line and resolves with the exit status. */
export async function main(environment: NodeJS.ProcessEnv, [name = '', ...args]: readonly string[]) {
  const load = Object.hasOwn(verbs, name) ? verbs[name] : undefined
  if (!load)
    return runCommand([name], overview(), () => {
      throw noSuch('verb', name, Object.keys(verbs))
    })
  const { takes, forms = {}, paths = false, variables = [], help: own } = describe(name)
  return runCommand(args, own, async () => {
    const all = [...takes, ...Object.entries(forms).flat(2), 'config'] as Option[]
    const typeOf = (option: Option) => (options[option] === flag ? 'boolean' : 'string')
    const taken = Object.fromEntries(all.map(option => [option, { type: typeOf(option) } as const]))
    const { values, positionals } = readArguments(args, taken, paths)
    refuseStrange(Object.keys(values) as Option[], takes, forms)
    // Checked here so that all bad ones are named at once: the directory and the service read only some of them each.
    readConfig(environment, pick(...variables))
    const { run } = await load()
    const nowMs = Date.now()
    const read = ([option, text]: [string, unknown]) => [
      option,
      options[option as Option](option, String(text), nowMs),
    ]
    const given: Given = { ...Object.fromEntries(Object.entries(values).map(read)), paths: positionals }
    if (given.config === '') throw new UsageError('--config needs a directory')
    return run(given, contextOf(environment, given, name, nowMs))
  })
}

/** @throws UsageError naming an option that has no effect with, or without, another option. */
function refuseStrange(given: readonly Option[], takes: Option[], forms: NonNullable<Described['forms']>) {
  const names = Object.keys(forms) as Option[]
  const form = names.find(each => given.includes(each))
  const fitting = ['config', ...(form ? [form, ...(forms[form] ?? [])] : takes)]
  const strange = given.find(each => !fitting.includes(each))
  if (strange === undefined) return
  const needed = names.filter(each => forms[each]?.includes(strange)).join(' or --')
  throw new UsageError(form ? `--${strange} does not go with --${form}` : `--${strange} needs --${needed}`)
}
