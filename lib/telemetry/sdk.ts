import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { context, DiagConsoleLogger, DiagLogLevel, diag, propagation, trace } from '@opentelemetry/api'
import type { Sampler } from '@opentelemetry/sdk-trace'
import type { Config } from '../variables.ts'
import { loadLight } from './load-light.ts'
import { complainer } from './log.ts'

/** kill -9 loses at most the spans of this interval. */
const flushMs = 1_000
const stopWithinMs = 2_000

type TracingConfig = Config<
  'DATA_DIR' | 'INSTANCE' | 'KEEP_TRACES_DAYS' | 'OTEL_EXPORTER_OTLP_ENDPOINT' | 'VERSION'
>
/** The process's own environment, with OpenTelemetry's variables. */
type Environment = NodeJS.ProcessEnv

const [core, resources, sdk, hooks] = await loadLight(() =>
  Promise.all([
    import('@opentelemetry/core'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/context-async-hooks'),
  ]),
)

/**
 * Starts OpenTelemetry's tracing for this process: to OTEL_EXPORTER_OTLP_ENDPOINT when set, else as OTLP JSON lines in
 * DATA_DIR/traces. Resolves with what exports the remaining spans and closes. The package sdk-node would load every
 * exporter of every signal.
 */
export async function startTracing(
  config: TracingConfig,
  service: string,
  environment: Environment,
): Promise<() => Promise<void>> {
  // Without a logger OpenTelemetry hides wrong values of variables, dropped spans and those that a collector refuses.
  const level = core.diagLogLevelFromString(environment.OTEL_LOG_LEVEL || undefined)
  diag.setLogger(new DiagConsoleLogger(), level ?? DiagLogLevel.WARN)
  core.setGlobalErrorHandler(complainer('traces.not-exported'))
  context.setGlobalContextManager(new hooks.AsyncLocalStorageContextManager().enable())
  const propagators = [new core.W3CTraceContextPropagator(), new core.W3CBaggagePropagator()]
  propagation.setGlobalPropagator(new core.CompositePropagator({ propagators }))
  const ours = resources.resourceFromAttributes({
    'service.name': service,
    'service.version': config.VERSION,
    'service.instance.id': config.INSTANCE,
  })
  // OTEL_RESOURCE_ATTRIBUTES adds what an operator wants on each span, and cannot rename the service.
  const theirs = resources.detectResources({ detectors: [resources.resourceAttributesEnvDetector] })
  const exporter = await openExporter(config, service, environment)
  const provider = new sdk.TracerProvider({
    resource: theirs.merge(ours),
    sampler: samplerOf(environment),
    spanProcessors: [new sdk.BatchSpanProcessor({ exporter, scheduledDelayMillis: flushMs })],
  })
  trace.setGlobalTracerProvider(provider)
  // A collector that is away costs its spans, and does not keep a stopped process.
  return () => Promise.race([provider.shutdown().catch(() => {}), delay(stopWithinMs)])
}

/**
 * By OTEL_TRACES_SAMPLER. OpenTelemetry's default would let clients choose: a traceparent that is not sampled would keep its
 * photo out of the traces.
 */
function samplerOf({ OTEL_TRACES_SAMPLER: given, OTEL_TRACES_SAMPLER_ARG: share }: Environment) {
  const all = new sdk.AlwaysOnSampler()
  const roots = new Map<string, Sampler>([
    ['always_on', all],
    ['always_off', new sdk.AlwaysOffSampler()],
    ['traceidratio', new sdk.TraceIdRatioBasedSampler(Number(share || 1))],
  ])
  const [, parent, name = ''] = /^(parentbased_)?(.*)$/.exec(given || 'always_on') ?? []
  const root = roots.get(name)
  if (!root) diag.error(`unknown OTEL_TRACES_SAMPLER value "${given}", using always_on`)
  return parent && root ? new sdk.ParentBasedSampler({ root }) : (root ?? all)
}

/** Each exporter is loaded where it is used. */
async function openExporter(config: TracingConfig, service: string, environment: Environment) {
  if (!config.OTEL_EXPORTER_OTLP_ENDPOINT && !environment.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) {
    const { openTraceFile } = await loadLight(() => import('./trace-file.ts'))
    const folder = join(config.DATA_DIR, 'traces')
    return openTraceFile(folder, `${service}.${config.INSTANCE}`, config.KEEP_TRACES_DAYS)
  }
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http')
  return new OTLPTraceExporter() // reads the endpoint, headers and timeout by OpenTelemetry's own variables
}
