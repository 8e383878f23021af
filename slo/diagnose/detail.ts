import { readFileSync } from 'node:fs'
import type { Diagnosed } from './stages.ts'

/** Which service spends a stage's time. */
const servicesOf: Record<Diagnosed, readonly ('webAdmin' | 'converterAdmin')[]> = {
  receive: ['webAdmin'],
  wait: ['webAdmin', 'converterAdmin'],
  convert: ['converterAdmin'],
  store: ['converterAdmin'],
  deliver: ['webAdmin'],
}

/** Long enough to see some photos, short enough not to fill the disk. */
const detailSeconds = 600

/**
 * Raises the log level of a stage's services for ten minutes; says what it did.
 * @throws when no service of DATA_DIR runs.
 */
export async function raiseDetail(dataDir: string, stage: string): Promise<string> {
  const endpoints = JSON.parse(readFileSync(`${dataDir}/endpoints.json`, 'utf8')) as Record<string, string>
  const names = servicesOf[stage as Diagnosed] ?? []
  for (const name of names) {
    const response = await fetch(`${endpoints[name]}/log-level`, {
      method: 'PUT',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ level: 'debug', forSeconds: detailSeconds }),
    })
    if (!response.ok) throw new Error(`${name} answered ${response.status} to PUT /log-level`)
  }
  return `detail is raised for ${detailSeconds / 60} minutes in ${names.join(', ').replaceAll('Admin', '')}`
}
