import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { ExpectedError, explainError } from './errors.ts'
import { bracketed, ownAddresses, ownName } from './loopback.ts'
import { outliveEarlyReaders, printable } from './terminal.ts'
import { version } from './version.ts'

/** Wrong arguments of a command. runCommand adds "--help lists what it takes" to the message. */
export class UsageError extends ExpectedError {
  override name = 'UsageError'
}

/** A name of some kind, such as "verb", is missing or unknown. */
export const noSuch = (kind: string, given: string | undefined, names: readonly string[]): UsageError =>
  new UsageError(
    `${given ? `there is no ${kind} "${given}"` : `a ${kind} is missing`}: the ${kind}s are ${names.join(', ')}`,
  )

/**
 * Parses a command's options and, if it takes any, its positional arguments.
 * @throws UsageError. Also for an option that npm took: `npm run load soak --minutes 5` would run for an hour.
 */
export function readArguments<O extends ParseArgsOptionsConfig>(
  args: string[],
  options: O,
  allowPositionals = false,
) {
  const taken = Object.keys(options).find(
    name => !args.includes(`--${name}`) && process.env[`npm_config_${name.replaceAll('-', '_')}`],
  )
  if (taken)
    throw new UsageError(`npm took --${taken} for itself: write -- before the first option of the command`)
  try {
    return parseArgs({ args, options, strict: true, allowPositionals })
  } catch (error) {
    // Node's second sentence explains how to pass a file whose name starts with a hyphen.
    const [sentence = ''] = (error as Error).message.split(/\.\s/)
    throw new UsageError(sentence.replace('argument is ambiguous', 'is not followed by its value'))
  }
}

/** With NODE_USE_ENV_PROXY fetch would ask the proxy for this machine's own services, too. */
function excludeThisMachine(environment: NodeJS.ProcessEnv): void {
  const given = environment.no_proxy ?? environment.NO_PROXY ?? ''
  // fetch knows `*`, no proxy for any machine, only alone.
  if (environment.NODE_USE_ENV_PROXY !== '1' || given === '*') return
  const own = ownAddresses().map(bracketed)
  environment.no_proxy = [given, 'localhost', ownName(), '0.0.0.0', ...own].join()
}

/**
 * Runs a command and resolves with its exit status: 0 after --help and --version, 2 when `run` throws. Only an error
 * that is neither an ExpectedError nor the system's is shown with its stack.
 */
export async function runCommand(
  args: readonly string[],
  usage: string,
  run: () => Promise<number> | number,
): Promise<number> {
  outliveEarlyReaders()
  excludeThisMachine(process.env)
  const asked = args.find(each => /^(--help|-h|--version)$/.test(each))
  if (asked) {
    process.stdout.write(`${asked === '--version' ? version : usage.trim()}\n`)
    return 0
  }
  try {
    return await run()
  } catch (error) {
    const more = error instanceof UsageError ? '; --help lists what it takes' : ''
    process.stderr.write(printable(`${explainError(error)}${more}\n`))
    return 2
  }
}
