import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type DiagLogger, DiagLogLevel, diag, trace } from '@opentelemetry/api'
import { withoutPassword } from '../config.ts'
import { orElse } from '../errors.ts'
import { proxyFor } from '../http/node-http.ts'
import { sparsely } from '../repeat.ts'
import type { Config } from '../variables.ts'
import { loadLight } from './load-light.ts'
import { activeTrace, complainer } from './log.ts'

/** kill -9 loses at most the spans of this interval. */
const flushMs = 1_000
const stopWithinMs = 2_000

const endpoints = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] as const
type TracingConfig = Config<'DATA_DIR' | 'INSTANCE' | 'VERSION' | (typeof endpoints)[number]>

const headerLists = ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_TRACES_HEADERS']
const byJson = 'traces are sent by OTLP as http/json'
/** Variables without effect, each with the values that agree with what happens anyway: any other value is a warning. */
const inert: readonly [name: string, harmless: RegExp, why: string][] = [
  ['OTEL_CONFIG_FILE', /^$/, 'traces are configured by variables'],
  ['OTEL_TRACES_EXPORTER', /^(otlp)?$/, byJson],
  ['OTEL_EXPORTER_OTLP_PROTOCOL', /^(http\/json)?$/, byJson],
  ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', /^(http\/json)?$/, byJson],
  ['OTEL_METRICS_EXPORTER', /^(none)?$/, 'metrics are read at /metrics'],
  ['OTEL_LOG_LEVEL', /^(none|error|warn|info|debug|verbose|all)?$/i, 'it is a word such as warn or debug'],
  ['OTEL_LOGS_EXPORTER', /^(none)?$/, 'log entries are sent to LOGS_URL'],
  [
    'OTEL_SERVICE_NAME',
    /^$/,
    'each process has its own name; set OTEL_RESOURCE_ATTRIBUTES=service.namespace=NAME',
  ],
]

const { error } = console
/** A collector that refuses a part of each batch causes the same warning each second. */
const { failed: warned } = sparsely<unknown[]>(all => error(...all))
const warn = (...all: unknown[]): void => warned(all)
/** OpenTelemetry's own logger writes details to standard output, which the launcher reads and does not show. */
const ofStderr: DiagLogger = { error, warn, info: error, debug: error, verbose: error }

/**
 * Starts OpenTelemetry for traces only: to OTEL_EXPORTER_OTLP_ENDPOINT when set, else as OTLP JSON lines in
 * DATA_DIR/traces. Resolves with a function that exports the remaining spans and closes.
 * @param environment the process's own, from which the SDK reads further variables.
 */
export async function startTracing(
  config: TracingConfig,
  service: string,
  environment: NodeJS.ProcessEnv,
): Promise<() => Promise<void>> {
  const ignored = inert.filter(([name, harmless]) => !harmless.test(environment[name]?.trim() ?? ''))
  const wrong = ignored.map(([name, , why]) => `${name}=${environment[name]} does not apply: ${why}`)
  // Unset, they would default to OTLP: a refused connection every few seconds.
  Object.assign(environment, { OTEL_METRICS_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none' })
  // With white space at its end OpenTelemetry would send to its default address.
  for (const name of endpoints) environment[name] = config[name]
  // By default clients decide: a traceparent that is not sampled would keep its photo out of the traces.
  environment.OTEL_TRACES_SAMPLER ||= 'always_on'
  environment.OTEL_BSP_SCHEDULE_DELAY ||= String(flushMs)
  // Without a logger OpenTelemetry hides wrong values of variables, dropped spans and spans that a collector refuses.
  // The enumeration also has its numbers as names.
  const [level = 'WARN'] = /^[A-Z]+$/.exec(environment.OTEL_LOG_LEVEL?.trim().toUpperCase() ?? '') ?? []
  diag.setLogger(ofStderr, DiagLogLevel[level as keyof typeof DiagLogLevel] ?? DiagLogLevel.WARN)
  // The SDK would replace this logger.
  environment.OTEL_LOG_LEVEL = ''
  const [{ parseKeyPairsIntoRecord, setGlobalErrorHandler }, { NodeSDK }, resources] = await loadLight(() =>
    Promise.all([
      import('@opentelemetry/core'),
      import('@opentelemetry/sdk-node'),
      import('@opentelemetry/resources'),
    ]),
  )
  const traceExporter = await openExporter(config, service, environment)
  const ours = resources.resourceFromAttributes({
    'service.name': service,
    'service.version': config.VERSION,
    'service.instance.id': config.INSTANCE,
  })
  // OTEL_RESOURCE_ATTRIBUTES adds an operator's attributes to each span. It cannot rename the service.
  const theirs = resources.detectResources({ detectors: [resources.resourceAttributesEnvDetector] })
  if (environment.OTEL_RESOURCE_ATTRIBUTES?.trim() && Object.keys(theirs.attributes).length === 0)
    diag.warn(
      'OTEL_RESOURCE_ATTRIBUTES does not apply: it must be KEY=VALUE,… with each other , and = as %2C and %3D',
    )
  const sdk = new NodeSDK({ resource: theirs.merge(ours), autoDetectResources: false, traceExporter })
  sdk.start()
  activeTrace.id = () => trace.getActiveSpan()?.spanContext().traceId
  for (const sentence of wrong) diag.warn(sentence)
  for (const name of headerLists) {
    const given = environment[name]?.split(',').filter(each => each.trim() !== '') ?? []
    if (Object.keys(parseKeyPairsIntoRecord(environment[name])).length < given.length)
      diag.warn(`${name}: a header is left out; it must be NAME=VALUE,… with each other , = and % encoded`)
  }
  // OpenTelemetry's error of a wrong path is `Not Found`.
  const complain = complainer('traces.not-exported')
  setGlobalErrorHandler(cause => complain(new Error(destinationOf(config), { cause })))
  // An unreachable collector loses its spans and does not delay the stop.
  return () => Promise.race([sdk.shutdown().catch(() => {}), sleep(stopWithinMs)])
}

/** Where the traces go, without a password. */
function destinationOf({ DATA_DIR, ...config }: TracingConfig): string {
  const base = config.OTEL_EXPORTER_OTLP_ENDPOINT.replace(/\/$/, '')
  const address = config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || (base && `${base}/v1/traces`)
  return withoutPassword(address) || join(DATA_DIR, 'traces')
}

/** Opens the exporter of the traces. Only the exporter in use is loaded. */
async function openExporter(config: TracingConfig, service: string, environment: NodeJS.ProcessEnv) {
  const address = config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || config.OTEL_EXPORTER_OTLP_ENDPOINT
  if (!address) {
    const { openTraceFile } = await loadLight(() => import('./trace-file.ts'))
    const folder = join(config.DATA_DIR, 'traces')
    return openTraceFile(folder, `${service}.${config.INSTANCE}`)
  }
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http')
  // Reads the endpoint, headers and timeout by OpenTelemetry's own variables. Its agent would ask no proxy.
  const [ca, cert, key] = ['CERTIFICATE', 'CLIENT_CERTIFICATE', 'CLIENT_KEY'].map(pemOf(environment))
  return new OTLPTraceExporter({ httpAgentOptions: { keepAlive: true, ca, cert, key, ...proxyFor(address) } })
}

/** The file that a variable for TLS names; undefined when it cannot be read, of which OpenTelemetry warns. */
const pemOf = (environment: NodeJS.ProcessEnv) => (name: string) => {
  const [file, ofAll] = ['TRACES_', ''].map(signal => environment[`OTEL_EXPORTER_OTLP_${signal}${name}`])
  return orElse(undefined, () => readFileSync(file || ofAll || ''))
}
