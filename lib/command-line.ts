import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { ExpectedError, explainError } from './errors.ts'
import { outliveEarlyReaders } from './terminal.ts'
import { version } from './version.ts'

/** Arguments that a command does not take: its message is followed by a hint at --help. */
export class UsageError extends ExpectedError {
  override name = 'UsageError'
}

/** The first argument is none of a command's verbs. */
export const noVerb = (given: string | undefined, verbs: object): UsageError =>
  new UsageError(
    `${given ? `there is no verb "${given}"` : 'a verb is missing'}: it is one of ${Object.keys(verbs).join(', ')}`,
  )

/** Reads a command's options and, where it takes some, its other arguments. @throws UsageError naming the wrong one. */
export function readArguments<O extends ParseArgsOptionsConfig>(
  args: string[],
  options: O,
  allowPositionals = false,
) {
  try {
    return parseArgs({ args, options, strict: true, allowPositionals })
  } catch (error) {
    // Node's second sentence explains how to pass a file whose name starts with a hyphen.
    const [sentence = ''] = (error as Error).message.split(/\.\s/)
    throw new UsageError(sentence.replace('argument is ambiguous', 'is not followed by its value'))
  }
}

/**
 * Runs a command and resolves with its exit status: 0 after --help, which prints the usage, and after --version; 2 when
 * it throws. Only an unforeseen error is shown with its stack.
 */
export async function runCommand(
  args: readonly string[],
  usage: string,
  run: () => Promise<number> | number,
): Promise<number> {
  outliveEarlyReaders()
  const asked = args.find(each => /^(--help|-h|--version)$/.test(each))
  if (asked) {
    process.stdout.write(`${asked === '--version' ? version : usage.trim()}\n`)
    return 0
  }
  try {
    return await run()
  } catch (error) {
    process.stderr.write(`${sentence(error)}\n`)
    return 2
  }
}

function sentence(error: unknown): string {
  if (error instanceof UsageError) return `${error.message}; --help lists what it takes`
  return explainError(error)
}
