import { relative } from 'node:path'
import { noVerb, runCommand, UsageError } from '@tintype/lib/command-line.ts'
import { readConfig } from '@tintype/lib/config.ts'
import { pick } from '@tintype/lib/variables.ts'
import { type Directory, defaultFolder, program, readDirectory } from '../directory.ts'
import type { Context, Verb } from './context.ts'

/** A verb is a file under verbs/, loaded when it is asked for. */
const verbs: Record<string, () => Promise<{ verb: Verb }>> = {
  budget: () => import('./budget.ts'),
  diagnose: () => import('./diagnose.ts'),
  init: () => import('./init.ts'),
  lint: () => import('./lint.ts'),
  backtest: () => import('./backtest.ts'),
  report: () => import('./report.ts'),
  rules: () => import('./rules.ts'),
  serve: () => import('./serve.ts'),
}

const usage = `${program} VERB [--config DIR] [options]

VERB is one of ${Object.keys(verbs).join(', ')}; ${program} VERB --help shows its options.
  --config  the directory that describes the service: service.yaml and objectives/ (default: ${relative('.', defaultFolder) || '.'})
Example: ${program} report --window 24h
Exit status: 0 good, 1 an objective broken or a lint error found, 2 bad arguments or no data source.`

/** One run of the command line: resolves with the exit status. */
export async function main(
  environment: NodeJS.ProcessEnv,
  [name = '', ...args]: readonly string[],
): Promise<number> {
  const load = Object.hasOwn(verbs, name) ? verbs[name] : undefined
  if (!load)
    return runCommand([name], usage, () => {
      throw noVerb(name, verbs)
    })
  const { verb } = await load()
  return runCommand(args, verb.usage, () => {
    const { folder, rest } = takeConfig(args)
    return verb.run(rest, context(environment, folder, evaluating.includes(name)))
  })
}

/** Every verb takes `--config DIR`; the verb reads the other arguments. @throws UsageError */
function takeConfig(args: readonly string[]): { folder: string; rest: string[] } {
  const at = args.findIndex(each => each === '--config' || each.startsWith('--config='))
  if (at < 0) return { folder: defaultFolder, rest: [...args] }
  const isOne = args[at] !== '--config'
  const folder = isOne ? args[at]?.slice('--config='.length) : args[at + 1]
  if (!folder) throw new UsageError('--config is followed by a directory')
  return { folder, rest: args.toSpliced(at, isOne ? 1 : 2) }
}

/** Those that evaluate the expressions of service.yaml. */
const evaluating = ['diagnose', 'serve']

function context(environment: NodeJS.ProcessEnv, folder: string, expressions: boolean): Context {
  const config = readConfig(environment, pick('DATA_DIR', 'KEEP_METRICS_DAYS'))
  let read: Directory | undefined
  const directory = () => {
    read ??= readDirectory(folder, environment, { expressions })
    return read
  }
  return {
    environment,
    folder,
    directory,
    dataDir: config.DATA_DIR,
    keepDays: config.KEEP_METRICS_DAYS,
    nowMs: Date.now(),
    print: text => console.log(text),
  }
}
