import { ExpectedError, errorCode } from '@tintype/lib/errors.ts'
import { askStatus, inWords } from '@tintype/lib/http/bounded-request.ts'

/** Long enough to see some work, short enough not to fill the disk with debug entries. */
export const detailSeconds = 600
const answerMs = 5_000

export type AdminPort = { job: string; url: URL | string }

/**
 * Raises the log level of each process of some jobs for ten minutes. Returns a text that counts them and names
 * failures.
 * @throws when no process answered.
 */
export async function raiseDetail(ports: readonly AdminPort[], jobs: readonly string[]): Promise<string> {
  const asked = ports.filter(port => jobs.includes(port.job))
  const answers = asked.map(({ job, url }) => {
    const why = (error: Error) => `${job} at ${url} (${errorCode(error) ?? error.message})`
    return raise(url).then(() => null, why)
  })
  const failed = (await Promise.all(answers)).filter(each => each !== null)
  const missing = failed.length > 0 ? `; no answer from ${failed.join(', ')}` : ''
  const raised = `in ${asked.length - failed.length} of ${asked.length} processes of ${jobs.join(' and ')}${missing}`
  if (failed.length === asked.length) throw new ExpectedError(`detail was raised ${raised}`)
  return `detail is raised for ${detailSeconds / 60} minutes ${raised}`
}

async function raise(url: URL | string): Promise<void> {
  const answer = await askStatus(new URL('/log-level', url).href, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ level: 'debug', forSeconds: detailSeconds }),
    signal: AbortSignal.timeout(answerMs),
  })
  if (answer.status >= 300) throw new Error(inWords(answer))
}
