import { readFileSync } from 'node:fs'
import { type ResolveFnOutput, registerHooks } from 'node:module'

/**
 * Imports that are not loaded. sdk-node imports all exporters and readers that a variable can select, such as gRPC and
 * Zipkin, and instrumentation of libraries; otlp-transformer imports all encodings of all signals; Express imports
 * parsers of bodies, and prom-client a client that loads node:https.
 */
const unused = [
  {
    by: '/@opentelemetry/sdk-node/',
    what: /^@opentelemetry\/(exporter-|otlp-|(configuration|instrumentation|sdk-logs|sdk-metrics)$)|^\.\/start/,
  },
  { by: '/@opentelemetry/otlp-transformer/dist/index.mjs', what: /^(?!\.\/trace\/json\/)/ },
  { by: '/node_modules/express/', what: /^(body-parser|qs|serve-static)$/ },
  { by: '/node_modules/prom-client/', what: /^\.\/lib\/(cluster|pushgateway|summary)$/ },
]

/** A replacement for an unused module, with the names that `importer` imports. Their constructors throw. */
function replacement(importer: string, specifier: string): ResolveFnOutput {
  const imports = readFileSync(new URL(importer), 'utf8').matchAll(/^import \{ (.*) \} from "(.*)";$/gm)
  const [, names = ''] = imports.find(([, , from]) => from === specifier) ?? []
  const source = names.replaceAll(
    /(\w+)( as [\w$]+)?(, )?/g,
    `export function $1() {
      if (new.target) throw new Error('OpenTelemetry: $1 is not part of Tintype')
    }\n`,
  )
  return {
    url: `data:text/javascript,${encodeURIComponent(source)}`,
    format: 'module',
    shortCircuit: true,
  }
}

/** Loads a package without the unused modules, which would take 15 MiB of OpenTelemetry and 4 MiB of the others. */
export async function loadLight<T>(load: () => Promise<T>): Promise<T> {
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      const importer = context.parentURL ?? ''
      if (unused.some(({ by, what }) => importer.includes(by) && what.test(specifier)))
        // require() takes no data: URL. Any CommonJS module can take the place of one whose exports are not used.
        return context.conditions.includes('require')
          ? next('node:path', context)
          : replacement(importer, specifier)
      // One copy, as ES modules: prom-client's require() would load a second one.
      if (specifier === '@opentelemetry/api')
        return next(specifier, { ...context, conditions: ['node', 'import'] })
      const found = next(specifier, context)
      // The process uses five names, all of them stable; index.mjs has every name since 2021.
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
