import { readArguments, runCommand } from '../command-line.ts'
import { readConfig } from '../config.ts'
import { adminApp } from '../http/admin.ts'
import { listen } from '../http/listen.ts'
import { openQueue, queueFolders, queueUrl } from '../queue/index.ts'
import { run } from '../run.ts'
import { openStorage, storageFolders, storageUrl } from '../storage/index.ts'
import { observeQueue, observeStorage } from '../telemetry/calls.ts'
import { writeLastMetrics } from '../telemetry/last-metrics.ts'
import { logVariables, openLog } from '../telemetry/log.ts'
import { watchMachine } from '../telemetry/machine.ts'
import { createMetrics } from '../telemetry/metrics.ts'
import { removeOldTraces } from '../telemetry/old-traces.ts'
import { type Config, pick, type VariableName } from '../variables.ts'
import { openAccount } from './account.ts'
import { checkStorage, type Parts } from './find.ts'

const shared = [
  ...logVariables,
  'ADMIN_HOST',
  'GRACE_SECONDS',
  'KEEP_TRACES_DAYS',
  'MAX_PIXELS',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
  'QUEUE_URL',
  'STORAGE_URL',
  'VERSION',
] as const
type Shared = (typeof shared)[number]

type Service = {
  endpoints?: Record<string, string>
  adminPort: number
  admin: Pick<Parameters<typeof adminApp>[0], 'notReady' | 'dependencies' | 'stalled'>
  /** Finishes what is in progress within `graceMs`. */
  stop(graceMs: number): Promise<void>
}

const usageOf = (name: string): string => `npm run ${name}

One ${name} alone, until it is stopped; npm start runs one of each process. Environment variables configure it:
docs/reference.md lists them, docs/how-to/scale-out.md says which ones several machines need.
Example: INSTANCE=${name}-2 npm run ${name}
Exit status: 0 stopped, 1 it did not start, 2 bad arguments or environment.`

/**
 * Runs web or a converter: reads `own` and the shared variables, and starts it with log, metrics, queue, storage and an
 * administration port, which end after it.
 */
export async function runPhotoService<N extends VariableName>(
  name: 'web' | 'converter',
  environment: NodeJS.ProcessEnv,
  own: readonly N[],
  start: (parts: Parts, config: Config<Shared> & Config<N>) => Promise<Service>,
): Promise<void> {
  const open = async () => {
    const config = readConfig(environment, pick<Shared | N>(...shared, ...own)) as Config<Shared> & Config<N>
    const { DATA_DIR, VERSION: version }: Config<Shared> = config
    const graceMs = config.GRACE_SECONDS * 1000
    const is = (name: string, value: string) => environment[name]?.trim().toLowerCase() === value
    const isTraced = !is('OTEL_SDK_DISABLED', 'true') && !is('OTEL_TRACES_EXPORTER', 'none')
    const sdk = isTraced ? await import('../telemetry/sdk.ts') : null
    const stopTracing = await sdk?.startTracing(config, name, environment)
    removeOldTraces(DATA_DIR, config.KEEP_TRACES_DAYS)
    const log = openLog(name, config)
    const metrics = createMetrics(name, version)
    const queueAt = queueUrl(config.QUEUE_URL, DATA_DIR)
    const queue = await openQueue(queueAt, { observe: observeQueue(metrics, queueAt), version })
    const storageAt = storageUrl(config.STORAGE_URL, DATA_DIR)
    const storage = await openStorage(storageAt, { observe: observeStorage(metrics, log) })
    await checkStorage({ storage, queue })
    watchMachine(metrics, [DATA_DIR, ...queueFolders(queueAt), ...storageFolders(storageAt)])
    const account = openAccount(metrics, log)
    const service = await start({ storage, queue, log, metrics, account }, config)
    const app = adminApp({ metrics, log, ...service.admin })
    const admin = await listen(app, config.ADMIN_HOST, service.adminPort)
    log.info(`${name}.started`, { version })
    return {
      endpoints: { ...service.endpoints, [`${name}Admin`]: admin.url },
      graceMs,
      async stop() {
        log.info(`${name}.stopping`)
        await service.stop(graceMs)
        await writeLastMetrics(metrics, name, config)
        await admin.close(0)
        await queue.close()
        await storage.close()
        await Promise.all([log.close(), stopTracing?.()])
      },
    }
  }
  const args = process.argv.slice(2)
  process.exitCode = await runCommand(args, usageOf(name), async () => {
    readArguments(args, {})
    await run(open)
    return 0
  })
}
