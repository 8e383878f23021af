import { readFileSync } from 'node:fs'
import { type ResolveFnOutput, registerHooks } from 'node:module'

/**
 * Imports that are not loaded. sdk-node imports every exporter, reader and propagator that a variable can select, gRPC,
 * Zipkin and YAML among them, and what instruments libraries; otlp-transformer imports every form of every signal.
 */
const unused = [
  {
    by: '/@opentelemetry/sdk-node/',
    what: /^@opentelemetry\/(exporter-|otlp-|(configuration|instrumentation|propagator-b3|sdk-logs|sdk-metrics)$)|^\.\/start/,
  },
  { by: '/@opentelemetry/otlp-transformer/dist/index.mjs', what: /^(?!\.\/trace\/json\/)/ },
]

/** Replaces an unused module: it exports the names that `importer` imports, whose constructors throw. */
function replacement(importer: string, specifier: string): ResolveFnOutput {
  const imports = readFileSync(new URL(importer), 'utf8').matchAll(/^import \{ (.*) \} from "(.*)";$/gm)
  const [, names = ''] = imports.find(([, , from]) => from === specifier) ?? []
  const source = names
    .split(', ')
    .map(each => each.split(' as ')[0])
    .map(
      name => `export function ${name}() {
        if (new.target) throw new Error('OpenTelemetry: ${name} is not part of Tintype')
      }`,
    )
  return {
    url: `data:text/javascript,${encodeURIComponent(source.join('\n'))}`,
    format: 'module',
    shortCircuit: true,
  }
}

/** Loads a package of OpenTelemetry, or one that uses it, without what is unused: 15 MiB less a process. */
export async function loadLight<T>(load: () => Promise<T>): Promise<T> {
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      const importer = context.parentURL ?? ''
      if (unused.some(({ by, what }) => importer.includes(by) && what.test(specifier)))
        return replacement(importer, specifier)
      // Once, as ES modules: prom-client requires it.
      if (specifier === '@opentelemetry/api')
        return next(specifier, { ...context, conditions: ['node', 'import'] })
      const found = next(specifier, context)
      // Of all conventions since 2021 a process uses five names, which are among the stable ones.
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
