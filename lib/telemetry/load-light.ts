import { type ResolveFnOutput, registerHooks } from 'node:module'

/**
 * Imports that are not loaded. sdk-node imports every exporter, reader and propagator that a variable can select, gRPC,
 * Zipkin and YAML among them, and what instruments libraries; otlp-transformer imports every form of every signal.
 */
const unused = [
  {
    from: '/@opentelemetry/sdk-node/',
    what: /^@opentelemetry\/(exporter-|otlp-|(configuration|instrumentation|propagator-b3|sdk-logs|sdk-metrics)$)|^\.\/start/,
  },
  { from: '/@opentelemetry/otlp-transformer/dist/index.mjs', what: /^(?!\.\/trace\/json\/)/ },
]

const names = [
  'B3InjectEncoding',
  'B3Propagator',
  'BatchLogRecordProcessor',
  'ConsoleLogRecordExporter',
  'ConsoleMetricExporter',
  'JsonLogsSerializer',
  'JsonMetricsSerializer',
  'LoggerProvider',
  'LogsExporterMetricsHelper',
  'MeterProvider',
  'MetricsExporterMetricsHelper',
  'OTLPLogExporter',
  'OTLPMetricExporter',
  'OTLPTraceExporter',
  'PeriodicExportingMetricReader',
  'PrometheusExporter',
  'ProtobufLogsSerializer',
  'ProtobufMetricsSerializer',
  'ProtobufTraceSerializer',
  'SimpleLogRecordProcessor',
  'TraceExporterMetricsHelper',
  'ZipkinExporter',
  'startNodeSDK',
  'startNodeSdk',
]

/** Replaces all of them. A variable that selects one ends the start with an error that names it. */
const source = [
  'export const registerInstrumentations = () => {}',
  ...names.map(
    name =>
      `export class ${name} { constructor() { throw new Error('OpenTelemetry: ${name} is not part of Tintype') } }`,
  ),
].join('\n')
const replacement = { url: `data:text/javascript,${encodeURIComponent(source)}`, format: 'module' }

/** Loads a package of OpenTelemetry, or one that uses it, without what is unused: 25 MiB and 0.2 s less a process. */
export async function loadLight<T>(load: () => Promise<T>): Promise<T> {
  const hooks = registerHooks({
    resolve(specifier, context, next): ResolveFnOutput {
      const isUnused = unused.some(
        ({ from, what }) => context.parentURL?.includes(from) && what.test(specifier),
      )
      if (isUnused) return { ...replacement, shortCircuit: true }
      // Once, as ES modules: prom-client requires it.
      if (specifier === '@opentelemetry/api')
        return next(specifier, { ...context, conditions: ['node', 'import'] })
      const found = next(specifier, context)
      // The conventions of four years, of which a process uses five.
      if (specifier !== '@opentelemetry/semantic-conventions') return found
      return { ...found, url: found.url.replace('index.mjs', 'stable_attributes.mjs') }
    },
  })
  try {
    return await load()
  } finally {
    hooks.deregister()
  }
}
