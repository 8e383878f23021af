import { ConfigError, readConfig } from '@tintype/lib/config.ts'
import { pick } from '@tintype/lib/variables.ts'
import { type Context, status, UsageError, type Verb } from './cli.ts'
import { ObjectiveError } from './objectives.ts'
import { SourceError } from './source/index.ts'

/** A verb is a file under verbs/, loaded when it is asked for. */
const verbs: Record<string, () => Promise<{ verb: Verb }>> = {
  budget: () => import('./verbs/budget.ts'),
  diagnose: () => import('./verbs/diagnose.ts'),
  lint: () => import('./verbs/lint.ts'),
  backtest: () => import('./verbs/backtest.ts'),
  report: () => import('./verbs/report.ts'),
  rules: () => import('./verbs/rules.ts'),
  serve: () => import('./verbs/serve.ts'),
}

/** One run of the command line: resolves with the exit status. */
export async function main(
  environment: NodeJS.ProcessEnv,
  [name = '', ...args]: readonly string[],
): Promise<number> {
  const load = Object.hasOwn(verbs, name) ? verbs[name] : undefined
  if (!load) {
    const names = Object.keys(verbs).join(', ')
    console.error(`slo VERB [options], where VERB is one of ${names}; slo VERB --help tells more`)
    return name === '--help' ? status.good : status.unusable
  }
  const { verb } = await load()
  if (args.includes('--help')) {
    console.log(verb.usage)
    return status.good
  }
  try {
    return await verb.run(args, context(environment))
  } catch (error) {
    if (error instanceof UsageError) console.error(`${error.message}\n\n${verb.usage}`)
    else if (isExpected(error)) console.error(error.message)
    else throw error
    return status.unusable
  }
}

const isExpected = (error: unknown): error is Error =>
  error instanceof SourceError || error instanceof ObjectiveError || error instanceof ConfigError

function context(environment: NodeJS.ProcessEnv): Context {
  const config = readConfig(environment, pick('DATA_DIR', 'PROMETHEUS_URL', 'SCRAPE_SECONDS'))
  return {
    environment,
    dataDir: config.DATA_DIR,
    prometheusUrl: config.PROMETHEUS_URL,
    scrapeSeconds: config.SCRAPE_SECONDS,
    nowMs: Date.now(),
    print: text => console.log(text),
  }
}
