import { ExpectedError } from '@tintype/lib/errors.ts'

/** Ctrl-C, the stop of a supervisor, and the end of the terminal. */
export const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Aborted by Ctrl-C, SIGTERM or the end of the terminal, which then do not end the process: a command undoes what it began. */
export function stopSignal(): AbortSignal {
  const stopping = new AbortController()
  for (const name of stopSignals) process.on(name, () => stopping.abort(new ExpectedError('stopped')))
  return stopping.signal
}
