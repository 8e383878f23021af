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

/** The code of the system or the engine (`ENOSPC`, `ERR_SQLITE_ERROR`), from the error or its nearest cause that has one. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const { code } = error as NodeJS.ErrnoException
  return typeof code === 'string' ? code : errorCode(error.cause)
}

/** For a person who starts something: an error that is expected or the system's by its message, every other with its stack. */
export function explainError(error: unknown): string {
  const bySystem =
    error instanceof Error && /^(E[A-Z0-9]+|ERR_SQLITE_ERROR|ERR_QUEUE_CLOSED)$/.test(errorCode(error) ?? '')
  return error instanceof ExpectedError || bySystem ? error.message : describeError(error)
}

/** Time in which the requests under way are answered with an error. */
const lastAnswersMs = 1_000

/** Ends the process, which could only refuse all work. The launcher restarts it. */
export const endProcess = (error: Error): void =>
  void setTimeout(() => {
    throw error
  }, lastAnswersMs)
