/** An error whose message is enough for a person, such as a wrong argument. It is shown without a stack. */
export class ExpectedError extends Error {
  override name = 'ExpectedError'
}

/** An error with its stack and its causes, for the log. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const text = error.stack ?? error.message
  return error.cause === undefined ? text : `${text}\ncaused by: ${describeError(error.cause)}`
}

/** The code (`ENOSPC`, `ERR_SQLITE_ERROR`) of the error or of its nearest cause that has one. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const { code } = error as NodeJS.ErrnoException
  return typeof code === 'string' ? code : errorCode(error.cause)
}

/** SQLite's primary code of an error; 0 of any other. */
export const sqliteCode = (error: unknown): number => ((error as { errcode?: number }).errcode ?? 0) % 256

/** For the terminal: the message of an ExpectedError or a system error; any other error with its stack. */
export function explainError(error: unknown): string {
  const bySystem =
    error instanceof Error && /^(E[A-Z0-9]+|ERR_SQLITE_ERROR|ERR_QUEUE_CLOSED)$/.test(errorCode(error) ?? '')
  return error instanceof ExpectedError || bySystem ? error.message : describeError(error)
}

/** Time for the requests in progress to be answered with an error. */
const lastAnswersMs = 1_000

/** Ends the process, which can no longer do its work, after `lastAnswersMs`. The launcher restarts it. */
export const endProcess = (error: Error): void =>
  void setTimeout(() => {
    throw error
  }, lastAnswersMs)
