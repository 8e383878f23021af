import { ConfigError, ifMissing } from '../config.ts'
import type { QueueOptions } from './engine.ts'
import type { Queue } from './port.ts'
import { queueAddress, queueUrlFormat } from './queue-url.ts'

export type { QueueOptions } from './engine.ts'
export * from './job.ts'
export type { Claim, Queue } from './port.ts'
export { queueFolders, queueUrl } from './queue-url.ts'

/**
 * Opens the queue that a URL names: a SQLite file or a PostgreSQL database.
 * @throws ConfigError when URL, installation or the server's settings are wrong; Error when the queue does not work.
 */
export async function openQueue(url: string, options: QueueOptions = {}): Promise<Queue> {
  const address = queueAddress(url)
  if (!address) throw new ConfigError(`QUEUE_URL must be ${queueUrlFormat}`)
  if ('file' in address) return (await import('./sqlite.ts')).openSqlite(address.file, options)
  const { openPostgres } = await import('./postgres.ts').catch(ifMissing('QUEUE_URL', 'pg'))
  return openPostgres(address, options)
}
