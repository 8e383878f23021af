import { registerHooks } from 'node:module'

/**
 * Imports of sdk-node that are not loaded: it names every exporter, reader and propagator that a variable could ask for,
 * gRPC, Zipkin and YAML among them, 20 MiB and 0.2 s a process. sdk.ts gives the SDK its one exporter. In their place stands
 * one module whose classes throw, so that a variable that asks for one of them ends the start with its name.
 */
const notLoaded =
  /^@opentelemetry\/(exporter-|configuration$|otlp-|propagator-b3$|sdk-logs$|sdk-metrics$)|^\.\/start\.mjs$/

const names = [
  'B3InjectEncoding',
  'B3Propagator',
  'BatchLogRecordProcessor',
  'ConsoleLogRecordExporter',
  'ConsoleMetricExporter',
  'LoggerProvider',
  'MeterProvider',
  'OTLPLogExporter',
  'OTLPMetricExporter',
  'OTLPTraceExporter',
  'PeriodicExportingMetricReader',
  'PrometheusExporter',
  'SimpleLogRecordProcessor',
  'ZipkinExporter',
  'startNodeSDK',
  'startNodeSdk',
]

const source = names.map(
  name => `export class ${name} {
    constructor() { throw new Error('OpenTelemetry: ${name} is not part of Tintype; see lib/telemetry/unused.ts') }
  }`,
)
const url = `data:text/javascript,${encodeURIComponent(source.join('\n'))}`

registerHooks({
  resolve: (specifier, context, next) =>
    context.parentURL?.includes('/@opentelemetry/sdk-node/') && notLoaded.test(specifier)
      ? { url, format: 'module', shortCircuit: true }
      : next(specifier, context),
})
