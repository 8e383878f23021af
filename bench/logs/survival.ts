import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLog } from '@tintype/lib/telemetry/log.ts'
import { dayFile, publish } from '@tintype/logs/daily.ts'
import { foldersIn } from '@tintype/logs/files.ts'
import { startScript } from '../../test/support.ts'

type Survived = { entriesPerSecond: number; lost: number; doubled: number }

/** Sends entries through journal, shipper and server, and kills the server repeatedly between write and fsync. */
export async function survival(folder: string, entries: number, kills: number): Promise<Survived> {
  const { journals, streams } = foldersIn(folder)
  const token = 'bench'
  let url: string | undefined
  const destination = { url: () => url, token: () => token }
  const log = createLog({
    service: 'web',
    instance: '0',
    level: 'info',
    journal: { folder: journals, destination },
  })
  for (let n = 0; n < entries; n++)
    log.info('photo.accepted', { n, text: '.'.repeat(150) }, '0123456789abcdef')
  const environment = { DATA_DIR: folder, INGEST_TOKEN: token, LOGS_ADMIN_PORT: '0', LOG_LEVEL: 'error' }
  let port = '0'
  const startServer = async (given: Record<string, string> = {}) => {
    const server = await startScript('services/logs/main.ts', { ...environment, LOGS_PORT: port, ...given }, [
      'serve',
    ])
    url = server.endpoints.logs
    port = new URL(url ?? '').port
    return server
  }
  const began = performance.now()
  for (let kill = 1; kill <= kills; kill++) {
    const { child } = await startServer({ FAULT_POINT: 'ingest.appended:3' })
    if (child.signalCode === null) await once(child, 'exit')
  }
  const server = await startServer()
  while (count(streams) < entries) await new Promise(resolve => setTimeout(resolve, 50))
  const seconds = (performance.now() - began) / 1000
  await log.close()
  await server.stop()
  const times = new Map<number, number>()
  for (const day of readdirSync(streams).filter(name => /^\d{4}/.test(name))) {
    const manifest = await publish(foldersIn(folder), day)
    if (!manifest) continue
    for (const each of readFileSync(dayFile(foldersIn(folder).days, manifest), 'utf8')
      .split('\n')
      .slice(0, -1)) {
      const { n } = JSON.parse(each).payload
      if (n !== undefined) times.set(n, (times.get(n) ?? 0) + 1)
    }
  }
  const doubled = [...times.values()].reduce((sum, n) => sum + n - 1, 0)
  return { entriesPerSecond: times.size / seconds, lost: entries - times.size, doubled }
}

const count = (folder: string): number =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(name => name.includes('web.0') && existsSync(join(folder, name)))
    .reduce((sum, name) => sum + readFileSync(join(folder, name), 'latin1').split('\n').length - 1, 0)
