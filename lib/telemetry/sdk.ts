import { once } from 'node:events'
import { get } from 'node:http'
import { join } from 'node:path'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { NodeSDK } from '@opentelemetry/sdk-node'
import { BatchSpanProcessor, type ReadableSpan, type SpanProcessor } from '@opentelemetry/sdk-trace'
import { ATTR_HTTP_ROUTE, ATTR_SERVICE_NAME, ATTR_SERVICE_VERSION } from '@opentelemetry/semantic-conventions'
import { readConfig } from '../config.ts'
import { pick } from '../variables.ts'
import { onTracingStop } from './trace.ts'
import { openTraceFile } from './trace-file.ts'

/** Requests that are not traced: otherwise each scrape and each shipped batch would be a trace. */
const untraced = /^\/(metrics|livez|readyz|log-level|streams|assets)\b/

/** kill -9 loses at most the spans of this interval. */
const flushMs = 1_000

const variables = pick('DATA_DIR', 'INSTANCE', 'KEEP_TRACES_DAYS', 'OTEL_EXPORTER_OTLP_ENDPOINT', 'VERSION')

const selfTestPath = '/telemetry-self-test'

/**
 * Starts OpenTelemetry for this process: traces to OTEL_EXPORTER_OTLP_ENDPOINT when set, else OTLP JSON lines in
 * DATA_DIR/traces. Metrics and logs do not use OpenTelemetry. The converter has no requests to trace.
 * @throws Error when the self-test's Express request has no `http.route`: the instrumentation does not work.
 */
export async function startTracing(environment: NodeJS.ProcessEnv, service: string): Promise<void> {
  const config = readConfig(environment, variables)
  // Unset, they default to OTLP: a connection refused every few seconds.
  process.env.OTEL_METRICS_EXPORTER = 'none'
  process.env.OTEL_LOGS_EXPORTER = 'none'
  const routes = new Set<string>()
  const hasRequests = service !== 'converter'
  const sdk = new NodeSDK({
    resource: resourceFromAttributes({
      [ATTR_SERVICE_NAME]: service,
      [ATTR_SERVICE_VERSION]: config.VERSION,
      'service.instance.id': config.INSTANCE,
    }),
    autoDetectResources: false,
    instrumentations: hasRequests ? await ofRequests() : [],
    spanProcessors: [
      withoutSelfTest(
        routes,
        new BatchSpanProcessor({ exporter: await exporter(config, service), scheduledDelayMillis: flushMs }),
      ),
    ],
  })
  sdk.start()
  if (hasRequests) await assertRoute(routes)
  onTracingStop(() => sdk.shutdown())
}

async function ofRequests() {
  const { ExpressInstrumentation, ExpressLayerType } = await import('@opentelemetry/instrumentation-express')
  const { HttpInstrumentation } = await import('@opentelemetry/instrumentation-http')
  const { MIDDLEWARE, ROUTER, REQUEST_HANDLER } = ExpressLayerType
  return [
    new HttpInstrumentation({
      ignoreIncomingRequestHook: request => untraced.test(request.url ?? ''),
      // Outgoing requests are probes and log batches, which concern no photo.
      disableOutgoingRequestInstrumentation: true,
    }),
    new ExpressInstrumentation({ ignoreLayersType: [MIDDLEWARE, ROUTER, REQUEST_HANDLER] }),
  ]
}

async function exporter(config: ReturnType<typeof readConfig<typeof variables>>, service: string) {
  if (config.OTEL_EXPORTER_OTLP_ENDPOINT === '')
    return openTraceFile(
      join(config.DATA_DIR, 'traces'),
      `${service}.${config.INSTANCE}`,
      config.KEEP_TRACES_DAYS,
    )
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http')
  return new OTLPTraceExporter() // reads the endpoint, headers and timeout by OpenTelemetry's own variables
}

/** Keeps the self-test's request out of the traces and collects the routes that it saw. */
function withoutSelfTest(routes: Set<string>, next: SpanProcessor): SpanProcessor {
  let testing = true
  return {
    onStart: (span, context) => next.onStart(span, context),
    onEnd(span: ReadableSpan) {
      const route = span.attributes[ATTR_HTTP_ROUTE]
      if (testing && route === selfTestPath) {
        routes.add(route)
        testing = false
      } else next.onEnd(span)
    },
    forceFlush: () => next.forceFlush(),
    shutdown: () => next.shutdown(),
  }
}

async function assertRoute(routes: Set<string>): Promise<void> {
  const { default: express } = await import('express')
  const { listen } = await import('../http/listen.ts')
  const app = express().get(selfTestPath, (_request, response) => void response.end())
  const { url, close } = await listen(app, '127.0.0.1', 0)
  const [response] = await once(get(url + selfTestPath), 'response')
  await once(response.resume(), 'end')
  await close(0)
  if (!routes.has(selfTestPath))
    throw new Error(
      'telemetry self-test: an Express request gave no http.route; is lib/telemetry/preload.ts given with --import?',
    )
}
