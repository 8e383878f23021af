import { statSync } from 'node:fs'
import { dirname } from 'node:path'

/** An error whose message is enough for a person, such as a wrong argument. It is shown without a stack. */
export class ExpectedError extends Error {
  override name = 'ExpectedError'
}

/** What a step returns; `otherwise` when it throws. */
export function orElse<T, O>(otherwise: O, step: () => T): T | O {
  try {
    return step()
  } catch {
    return otherwise
  }
}

/** An error's message. That of a connection to a host of several addresses has none itself, but one for each address. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.message) return inPlainWords(error.message)
  return error instanceof AggregateError
    ? error.errors.map(messageOf).join(', ')
    : (errorCode(error) ?? error.name)
}

/** The messages of an error and its causes. A cause that the message before it already quotes is left out. */
export function messagesOf(error: unknown): string {
  const all = [messageOf(error)]
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (!all.at(-1)?.includes(messageOf(cause))) all.push(messageOf(cause))
  return all.join(': ')
}

/** A child process was ended on purpose: by its parent, or by Ctrl-C, which a terminal sends to all processes. */
export const wasEnded = ({ name, signal = '' }: Error & { signal?: string }): boolean =>
  name === 'AbortError' || /^SIG(INT|TERM|HUP)$/.test(signal)

/** An error with its stack and its causes, for the log. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const text = `${error.message ? '' : `${messageOf(error)}\n`}${inPlainWords(error.stack ?? error.message)}`
  return error.cause === undefined ? text : `${text}\ncaused by: ${describeError(error.cause)}`
}

/** Replaces Node's words for a full disk quota on Linux, which it does not know, and for a timeout of AbortSignal. */
const inPlainWords = (text: string): string =>
  text
    .replace(/(Unknown system error -122(: )?)+/, 'EDQUOT: the disk quota is exceeded')
    .replace('The operation was aborted due to timeout', 'no answer in time')

/** The owner of a folder that refuses this user. Docker makes the folders of volumes as root, as does a start with sudo. */
function ownerOf(path: string): string {
  const owner = orElse(undefined, () => statSync(path).uid)
  if (owner === undefined) return path === dirname(path) ? '' : ownerOf(dirname(path))
  return `; ${path} belongs to user ${owner}, and this process runs as user ${process.getuid?.()}`
}

/** The code (`ENOSPC`, `ERR_SQLITE_ERROR`) of the error or of its nearest cause that has one. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const { code } = error as NodeJS.ErrnoException
  return typeof code === 'string' ? code : errorCode(error.cause)
}

/** SQLite's primary code of an error; 0 of any other. */
export const sqliteCode = (error: unknown): number => ((error as { errcode?: number }).errcode ?? 0) % 256

/** For the terminal: the message of an ExpectedError, of a system error also its causes; any other error with its stack. */
export function explainError(error: unknown): string {
  const bySystem =
    error instanceof Error && /^(E[A-Z0-9]+|ERR_SQLITE_ERROR|ERR_QUEUE_CLOSED)$/.test(errorCode(error) ?? '')
  if (!(error instanceof ExpectedError || bySystem)) return describeError(error)
  const { code, path } = error as NodeJS.ErrnoException
  const said = error instanceof ExpectedError ? messageOf(error) : messagesOf(error)
  return `${said}${code === 'EACCES' && path ? ownerOf(path) : ''}`
}

/** Time for the requests in progress to be answered with an error. */
const lastAnswersMs = 1_000

/** Ends the process, which can no longer do its work, after `lastAnswersMs`. The launcher restarts it. */
export const endProcess = (error: Error): void =>
  void setTimeout(() => {
    throw error
  }, lastAnswersMs)
