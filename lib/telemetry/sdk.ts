import { join } from 'node:path'
import { loadLight } from './load-light.ts'
import { onTracingStop } from './trace.ts'

/** kill -9 loses at most the spans of this interval. */
const flushMs = 1_000

type Config = {
  DATA_DIR: string
  INSTANCE: string
  KEEP_TRACES_DAYS: number
  OTEL_EXPORTER_OTLP_ENDPOINT: string
  VERSION: string
}

/**
 * Starts OpenTelemetry for this process: traces to OTEL_EXPORTER_OTLP_ENDPOINT when set, else OTLP JSON lines in
 * DATA_DIR/traces. Metrics and logs do not use OpenTelemetry. Nothing is instrumented: lib/http.ts makes the spans of
 * requests, and each stage its own.
 */
export async function startTracing(config: Config, service: string): Promise<void> {
  // Unset, they default to OTLP: a connection refused every few seconds.
  process.env.OTEL_METRICS_EXPORTER = 'none'
  process.env.OTEL_LOGS_EXPORTER = 'none'
  const [{ NodeSDK }, { BatchSpanProcessor }, resources] = await loadLight(() =>
    Promise.all([
      import('@opentelemetry/sdk-node'),
      import('@opentelemetry/sdk-trace'),
      import('@opentelemetry/resources'),
    ]),
  )
  const exporter = await openExporter(config, service)
  const ours = resources.resourceFromAttributes({
    'service.name': service,
    'service.version': config.VERSION,
    'service.instance.id': config.INSTANCE,
  })
  // OTEL_RESOURCE_ATTRIBUTES adds what an operator wants on each span, and cannot rename the service.
  const detectors = [resources.resourceAttributesEnvDetector]
  const sdk = new NodeSDK({
    resource: resources.detectResources({ detectors }).merge(ours),
    autoDetectResources: false,
    spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: flushMs })],
  })
  sdk.start()
  onTracingStop(() => sdk.shutdown())
}

/** Each exporter is loaded where it is used. */
async function openExporter(config: Config, service: string) {
  if (config.OTEL_EXPORTER_OTLP_ENDPOINT === '') {
    const { openTraceFile } = await loadLight(() => import('./trace-file.ts'))
    const folder = join(config.DATA_DIR, 'traces')
    return openTraceFile(folder, `${service}.${config.INSTANCE}`, config.KEEP_TRACES_DAYS)
  }
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http')
  return new OTLPTraceExporter() // reads the endpoint, headers and timeout by OpenTelemetry's own variables
}
