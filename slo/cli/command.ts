import { noVerb, runCommand } from '@tintype/lib/command-line.ts'
import { readConfig } from '@tintype/lib/config.ts'
import { pick } from '@tintype/lib/variables.ts'
import type { Context, Verb } from './context.ts'

/** A verb is a file under verbs/, loaded when it is asked for. */
const verbs: Record<string, () => Promise<{ verb: Verb }>> = {
  budget: () => import('./budget.ts'),
  diagnose: () => import('./diagnose.ts'),
  lint: () => import('./lint.ts'),
  backtest: () => import('./backtest.ts'),
  report: () => import('./report.ts'),
  rules: () => import('./rules.ts'),
  serve: () => import('./serve.ts'),
}

const usage = `npm run slo -- VERB [options]

VERB is one of ${Object.keys(verbs).join(', ')}; npm run slo -- VERB --help tells more.
Example: npm run slo -- report --window 24h
Exit status: 0 good, 1 a promise broken or a lint error found, 2 bad arguments or no data source.`

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
  return runCommand(args, verb.usage, () => verb.run(args, context(environment)))
}

function context(environment: NodeJS.ProcessEnv): Context {
  const config = readConfig(
    environment,
    pick('DATA_DIR', 'KEEP_METRICS_DAYS', 'PROMETHEUS_URL', 'SCRAPE_SECONDS'),
  )
  return {
    environment,
    dataDir: config.DATA_DIR,
    prometheusUrl: config.PROMETHEUS_URL,
    scrapeSeconds: config.SCRAPE_SECONDS,
    keepDays: config.KEEP_METRICS_DAYS,
    nowMs: Date.now(),
    print: text => console.log(text),
  }
}
