import { ExpectedError } from '@tintype/lib/errors.ts'

/** Aborted by Ctrl-C, SIGTERM or the end of the terminal, which then do not end the process: a command undoes what it began. */
export function stopSignal(): AbortSignal {
  const stopping = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(name, () => stopping.abort(new ExpectedError('stopped')))
  return stopping.signal
}
